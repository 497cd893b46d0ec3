"""Scores in the order of what is predicted of the leads."""

from dataclasses import dataclass

from sqlalchemy import Select, or_, select, tuple_

from scoring.tables import lead_score
from shared.db import Record, Sql
from shared.http import decode_cursor, encode_cursor, invalid_cursor
from shared.ids import is_uuid

_COLUMNS = [column for column in lead_score.c if column.name not in {"profile_id", "lines"}]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the order a lead stands: by the live model's probability, and behind all those by points."""

    has_probability: bool
    value: float
    lead_id: str

    @classmethod
    def of(cls, row: Record, version: int) -> "Place":
        """Return the place of a stored score while predictive model *version* is live."""
        probability = row["probability"] if row["prediction_version"] == version else None
        value = row["points"] if probability is None else probability
        return cls(probability is not None, value, str(row["lead_id"]))

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        """Return the place in a cursor. Errors: `Problem` 422, also for a cursor of the order by points."""
        sort, value, lead_id = decode_cursor(cursor, size=3)
        try:
            place = cls(sort == "probability", float(value), lead_id)
        except ValueError:
            raise invalid_cursor() from None
        if sort not in {"probability", "points"} or not is_uuid(lead_id):
            raise invalid_cursor()
        return place

    def cursor(self) -> str:
        """Return a cursor that `parse` takes."""
        return encode_cursor("probability" if self.has_probability else "points", repr(self.value), self.lead_id)


async def list_by_probability(
    sql: Sql,
    version: int,
    *,
    grade: str | None,
    is_mql: bool | None,
    min_points: float | None,
    after: Place | None,
    limit: int,
) -> list[Record]:
    """Return current scores, those first that live model *version* finds most probable; the others follow, by points.

    Those others are leads that the job has not come to yet which predicts for all of them. What an earlier model said
    is no probability here: two models' numbers make no order. Each of the two parts has its own index.
    """
    stored = lead_score.c

    def part(*, has_probability: bool) -> Select[tuple[object, ...]]:
        value = stored.probability if has_probability else stored.points
        statement = select(*_COLUMNS).order_by(value.desc(), stored.lead_id.desc())
        if has_probability:
            statement = statement.where(stored.prediction_version == version, stored.probability.is_not(None))
        else:
            others = stored.prediction_version.is_distinct_from(version)
            statement = statement.where(or_(others, stored.probability.is_(None)))
        if grade is not None:
            statement = statement.where(stored.grade == grade)
        if is_mql is not None:
            statement = statement.where(stored.is_mql.is_(is_mql))
        if min_points is not None:
            statement = statement.where(stored.points >= min_points)
        if after is not None and after.has_probability is has_probability:
            statement = statement.where(tuple_(value, stored.lead_id) < (after.value, after.lead_id))
        return statement

    rows: list[Record] = []
    if after is None or after.has_probability:
        rows = await sql.select(part(has_probability=True).limit(limit))
    if len(rows) < limit:
        rows += await sql.select(part(has_probability=False).limit(limit - len(rows)))
    return rows
