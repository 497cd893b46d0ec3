"""Scores in the order of what is predicted of the leads."""

from dataclasses import dataclass

from sqlalchemy import Select, select, tuple_

from scoring.tables import lead_score
from shared.db import Record, Sql
from shared.http import decode_cursor, encode_cursor, invalid_cursor
from shared.ids import is_uuid

_COLUMNS = [column for column in lead_score.c if column.name not in {"profile_id", "lines"}]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the order a lead stands: by probability, and behind all those by points where nothing is predicted."""

    has_probability: bool
    value: float
    lead_id: str

    @classmethod
    def of(cls, row: Record) -> "Place":
        """Return the place of a stored score."""
        probability = row["probability"]
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
    *,
    grade: str | None,
    is_mql: bool | None,
    min_points: float | None,
    after: Place | None,
    limit: int,
) -> list[Record]:
    """Return current scores, the most probable first; those without a probability follow, by points.

    They have none while the job that predicts for all leads is under way. Each of the two parts has its own index.
    """

    def part(*, has_probability: bool) -> Select[tuple[object, ...]]:
        value = lead_score.c.probability if has_probability else lead_score.c.points
        statement = select(*_COLUMNS).order_by(value.desc(), lead_score.c.lead_id.desc())
        known = lead_score.c.probability
        statement = statement.where(known.is_not(None) if has_probability else known.is_(None))
        if grade is not None:
            statement = statement.where(lead_score.c.grade == grade)
        if is_mql is not None:
            statement = statement.where(lead_score.c.is_mql.is_(is_mql))
        if min_points is not None:
            statement = statement.where(lead_score.c.points >= min_points)
        if after is not None and after.has_probability is has_probability:
            statement = statement.where(tuple_(value, lead_score.c.lead_id) < (after.value, after.lead_id))
        return statement

    rows: list[Record] = []
    if after is None or after.has_probability:
        rows = await sql.select(part(has_probability=True).limit(limit))
    if len(rows) < limit:
        rows += await sql.select(part(has_probability=False).limit(limit - len(rows)))
    return rows
