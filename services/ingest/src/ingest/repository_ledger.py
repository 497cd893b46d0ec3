"""The ledger: each record's state, and counters that are appended to, never fought over."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from shared.db import Sql
from shared.ids import instant_of

_COUNT_CHANGES = """
    counted AS (
        INSERT INTO ledger_delta (counter, n)
        SELECT counter, sum(n) FROM (
            SELECT new_state AS counter, 1 AS n FROM changed UNION ALL SELECT old_state, -1 FROM changed
        ) moves GROUP BY counter HAVING sum(n) <> 0
    )
    SELECT count(*) FROM changed
"""
# A record's own event. The newer event wins, whatever order they come in from two topics. What is in flight or parked
# has none yet: its own event ends it even if a newer event of another topic said "parked" meanwhile.
_MOVE_RECORDS = f"""
    WITH target AS (
        SELECT r.record_id, r.state AS old_state, asked.state AS new_state, asked.at
        FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS asked(record_id, state, at)
        JOIN record r ON r.record_id = asked.record_id
        WHERE r.nature = 'lead' AND (r.state_at < asked.at OR r.state || '' IN ('in_flight', 'parked'))
        ORDER BY r.record_id FOR UPDATE OF r
    ),
    changed AS (
        UPDATE record r SET state = target.new_state, state_at = target.at FROM target
        WHERE r.record_id = target.record_id RETURNING target.old_state, target.new_state
    ),
    {_COUNT_CHANGES}
"""  # noqa: S608 - our own constant
# Older records of a lead that a newer record decided about. state_at stays: their own event, if it still comes, wins.
# The state is compared as an expression, so that no plan walks the index of what is in flight: after a burst that is
# everything, and each batch would read all of it (19 ms instead of 0.5).
_MOVE_SUPERSEDED = f"""
    WITH target AS (
        SELECT r.record_id, r.state AS old_state, asked.state AS new_state
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS asked(lead_id, before, state)
        JOIN record r ON r.lead_id = asked.lead_id
        WHERE r.state || '' = 'in_flight' AND r.record_id < asked.before
        ORDER BY r.record_id FOR UPDATE OF r
    ),
    changed AS (
        UPDATE record r SET state = target.new_state FROM target
        WHERE r.record_id = target.record_id RETURNING target.old_state, target.new_state
    ),
    {_COUNT_CHANGES}
"""  # noqa: S608 - our own constant
# Records of a lead that wait (in_flight -> parked) or go on (parked -> in_flight): the named one, or all if none is.
_MOVE_LEADS = f"""
    WITH target AS (
        SELECT r.record_id, r.state AS old_state, asked.new_state, asked.at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
             AS asked(lead_id, record_id, old_state, new_state, at)
        JOIN record r ON r.lead_id = asked.lead_id AND r.record_id = coalesce(asked.record_id, r.record_id)
        WHERE r.nature = 'lead' AND r.state = asked.old_state AND r.state_at < asked.at
        ORDER BY r.record_id FOR UPDATE OF r
    ),
    changed AS (
        UPDATE record r SET state = target.new_state, state_at = target.at FROM target
        WHERE r.record_id = target.record_id RETURNING target.old_state, target.new_state
    ),
    {_COUNT_CHANGES}
"""  # noqa: S608 - our own constant
_COUNTERS = "SELECT counter, sum(n)::bigint AS n FROM ledger_delta GROUP BY counter"
_OLDEST_IN_FLIGHT = "SELECT record_id::text FROM record WHERE state = 'in_flight' ORDER BY record_id LIMIT 1"
_RECOUNT = """
    SELECT state AS counter, count(*) AS n FROM record GROUP BY state
    UNION ALL SELECT 'accepted', count(*) FROM record
"""
# Two replicas may meet here: the second one waits for the rows and then finds them gone.
_COMPACT = """
    WITH gone AS (DELETE FROM ledger_delta RETURNING counter, n)
    INSERT INTO ledger_delta SELECT counter, sum(n) FROM gone GROUP BY counter
"""
_DISCARD = """
    WITH gone AS (
        UPDATE record SET state = 'discarded', state_at = $2
        WHERE record_id = $1::uuid AND state = 'quarantined' RETURNING 1
    ),
    counted AS (
        INSERT INTO ledger_delta
        SELECT counter, n FROM gone, (VALUES ('quarantined', -1), ('discarded', 1)) v(counter, n)
    )
    SELECT count(*) FROM gone
"""


class OwnMove(msgspec.Struct, frozen=True, kw_only=True):
    """What one record's own event says of it."""

    record_id: str
    state: str
    at: datetime


class LeadMove(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one lead change from one state to another. ``record_id``: only this one; None: all."""

    lead_id: str
    record_id: str | None
    old_state: str
    new_state: str
    at: datetime


class Superseded(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one lead, older than ``before``, end as the newer one did."""

    lead_id: str
    before: str
    state: str


class LedgerRepository:
    """States of records and their counters."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def save_own_moves(self, moves: Sequence[OwnMove]) -> None:
        if moves:
            await self._sql.execute(
                _MOVE_RECORDS,
                [move.record_id for move in moves],
                [move.state for move in moves],
                [move.at for move in moves],
            )

    async def save_superseded(self, moves: Sequence[Superseded]) -> None:
        if moves:
            await self._sql.execute(
                _MOVE_SUPERSEDED,
                [move.lead_id for move in moves],
                [move.before for move in moves],
                [move.state for move in moves],
            )

    async def save_lead_moves(self, moves: Sequence[LeadMove]) -> None:
        if moves:
            await self._sql.execute(
                _MOVE_LEADS,
                [move.lead_id for move in moves],
                [move.record_id for move in moves],
                [move.old_state for move in moves],
                [move.new_state for move in moves],
                [move.at for move in moves],
            )

    async def load_counters(self) -> dict[str, int]:
        """Return counter → value; accepted and all states are of the same instant."""
        return {row["counter"]: row["n"] for row in await self._sql.fetch(_COUNTERS)}

    async def recount(self) -> dict[str, int]:
        """Return what the counters should be, counted from the records. Reads the whole table."""
        return {row["counter"]: row["n"] for row in await self._sql.fetch(_RECOUNT)}

    async def find_oldest_in_flight(self, now: datetime) -> timedelta | None:
        """Return how long ago the oldest record in flight was taken in."""
        record_id = await self._sql.fetchval(_OLDEST_IN_FLIGHT)
        return max(now - instant_of(record_id), timedelta(0)) if record_id is not None else None

    async def compact(self) -> None:
        """Sum up the counters' rows."""
        await self._sql.execute(_COMPACT)

    async def discard(self, record_id: str, at: datetime) -> bool:
        """Give a quarantined record up; return whether it was (still) in quarantine."""
        return bool(await self._sql.fetchval(_DISCARD, record_id, at))
