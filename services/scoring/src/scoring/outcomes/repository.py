"""Outcomes in Postgres, append-only."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from scoring.domain.activity import Activity
from scoring.outcomes.outcome import OUTCOME_KINDS, Outcome, OutcomeKind, reason_of
from scoring.stored import unpack_activity
from shared.db import Record, Sql

# Of one lead, so many of the newest reports are shown and weighed, by a request and a job alike; a CRM's loop must not
# become their memory.
MOST_OUTCOMES: Final = 1000
CATCH_UP_BATCH: Final = 5000

_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


_ADD = """
    INSERT INTO outcome (lead_id, activity_id, kind, reason, occurred_at, known_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    ON CONFLICT DO NOTHING
"""
_OF_LEADS = """
    SELECT wanted.lead_id::text, activity_id, kind, reason, occurred_at, known_at
    FROM unnest($1::uuid[]) AS wanted (lead_id)
    CROSS JOIN LATERAL (
        SELECT * FROM outcome
        WHERE outcome.lead_id = wanted.lead_id AND known_at <= $2 ORDER BY known_at DESC, activity_id DESC LIMIT $3
    ) AS newest
"""
_OF_LEAD = """
    SELECT activity_id, kind, reason, occurred_at, known_at
    FROM outcome WHERE lead_id = $1 ORDER BY known_at DESC, activity_id DESC LIMIT $2
"""
# The condition on kind is that of the index, word for word: otherwise this would read every activity there is.
_MISSING = """
    SELECT lead_id::text, activity_id, kind, occurred_at, known_at, detail FROM activity
    WHERE kind IN ('accepted', 'rejected', 'opportunity', 'won', 'lost') AND known_at >= $1
    AND NOT EXISTS (
        SELECT FROM outcome WHERE outcome.lead_id = activity.lead_id AND outcome.activity_id = activity.activity_id
    )
    ORDER BY known_at LIMIT $2
"""
_CAUGHT_UP = "SELECT until FROM outcome_catch_up"
_REMEMBER = """
    INSERT INTO outcome_catch_up (until) VALUES ($1)
    ON CONFLICT (is_only) DO UPDATE SET until = greatest(outcome_catch_up.until, excluded.until)
"""
_COUNT = "SELECT count(*) FROM (SELECT FROM outcome WHERE kind = ANY($1::text[]) LIMIT $2) AS found"


class OutcomeRepository:
    """What the CRM reported. Part of the service's own transaction."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def add(self, activities: Sequence[tuple[str, Activity]]) -> None:
        """Keep those of the (lead_id, activity) pairs that are outcomes; one that is known already changes nothing."""
        found = [(lead_id, activity) for lead_id, activity in activities if activity.kind in OUTCOME_KINDS]
        if not found:
            return
        await self._sql.execute(
            _ADD,
            [lead_id for lead_id, _ in found],
            [activity.activity_id for _, activity in found],
            [activity.kind for _, activity in found],
            [reason_of(activity.kind, activity.detail) for _, activity in found],
            [activity.occurred_at for _, activity in found],
            [activity.known_at for _, activity in found],
        )

    async def list_of_leads(self, lead_ids: Sequence[str], known_by: datetime) -> dict[str, list[Outcome]]:
        """Return the newest reports about each lead that were known by then; a lead without any is missing."""
        by_lead: dict[str, list[Outcome]] = {}
        for row in await self._sql.fetch(_OF_LEADS, list(lead_ids), known_by, MOST_OUTCOMES):
            by_lead.setdefault(row["lead_id"], []).append(_outcome(row))
        return by_lead

    async def list_of_lead(self, lead_id: str) -> list[Outcome]:
        """Return the newest reports about one lead."""
        return [_outcome(row) for row in await self._sql.fetch(_OF_LEAD, lead_id, MOST_OUTCOMES)]

    async def count(self, kinds: Collection[OutcomeKind], at_most: int) -> int:
        """Return how many outcomes of *kinds* are stored; counting stops at *at_most*."""
        found: int = await self._sql.fetchval(_COUNT, sorted(kinds), at_most)
        return found

    async def catch_up(self, done_until: datetime) -> int:
        """Keep up to `CATCH_UP_BATCH` outcomes that were stored as activities only; return how many there were.

        Goes on from where it came to before, in any process, and remembers where it came to now: to the last outcome
        of a full batch, else to *done_until*.
        """
        since = await self._sql.fetchval(_CAUGHT_UP)
        rows = await self._sql.fetch(_MISSING, _EVER if since is None else since, CATCH_UP_BATCH)
        await self.add([(lead_id, unpack_activity(*activity)) for lead_id, *activity in rows])
        await self._sql.execute(_REMEMBER, rows[-1]["known_at"] if len(rows) == CATCH_UP_BATCH else done_until)
        return len(rows)


def _outcome(row: Record) -> Outcome:
    return Outcome(
        activity_id=row["activity_id"],
        kind=row["kind"],
        reason=row["reason"],
        occurred_at=row["occurred_at"],
        known_at=row["known_at"],
    )
