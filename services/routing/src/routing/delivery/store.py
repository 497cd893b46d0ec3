"""The delivery worker's SQL: claims and outcomes, both set-based."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from routing.delivery.lane import Claimed, EndpointConfig
from shared.db import Sql
from shared.secret_box import SealBroken, SecretBox

log = structlog.get_logger(module=__name__)

NOTIFY_CHANNEL = "leadrail_routing_callbacks"

# wanted: how many each endpoint may get, so that one with a long queue takes nothing from the others.
# due: the earliest ones, passing over rows that another worker is claiming right now.
# A claim moves due_at to the end of the lease: a worker that dies simply lets its callbacks become due again.
# relaxed: a claim that a database crash forgets is only claimed again, so nobody waits for the disk.
_CLAIM = """
    WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
    wanted AS (SELECT w.* FROM relaxed CROSS JOIN unnest($1::uuid[], $2::int[]) AS w(endpoint_id, most)),
    due AS MATERIALIZED (
        SELECT taken.callback_id, taken.due_at FROM wanted CROSS JOIN LATERAL (
            SELECT c.callback_id, c.due_at FROM callback c
            WHERE c.endpoint_id = wanted.endpoint_id AND c.state = 'pending' AND c.due_at <= $3
            ORDER BY c.due_at LIMIT wanted.most FOR UPDATE SKIP LOCKED
        ) AS taken
    )
    UPDATE callback c SET due_at = $4, attempts = c.attempts + 1
    FROM due WHERE c.callback_id = due.callback_id
    RETURNING c.callback_id::text, c.endpoint_id::text, c.body, c.attempts, due.due_at, c.received_at, c.copies
"""
_NEXT_DUE = """
    SELECT min(next.due_at) FROM unnest($1::uuid[]) AS e(endpoint_id) CROSS JOIN LATERAL (
        SELECT c.due_at FROM callback c WHERE c.endpoint_id = e.endpoint_id AND c.state = 'pending'
        ORDER BY c.due_at LIMIT 1
    ) AS next
"""
# A success is recorded whatever happened meanwhile (it did arrive); a failure only by the attempt that is current:
# a worker that was asleep for longer than its lease must not undo what its successor knows.
_RECORD = """
    UPDATE callback c SET state = r.state, due_at = coalesce(r.due_at, c.due_at), settled_at = r.settled_at,
        last_status = r.status, last_outcome = r.outcome, last_attempt_ms = r.duration_ms
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::int[], $7::text[],
                $8::int[]) AS r(callback_id, attempt, state, due_at, settled_at, status, outcome, duration_ms)
    WHERE c.callback_id = r.callback_id
      AND (r.state = 'delivered' OR (c.state = 'pending' AND c.attempts = r.attempt))
"""
_RECORD_FAILED = """
    INSERT INTO failed_attempt (callback_id, attempt, started_at, duration_ms, outcome, status)
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[], $5::text[], $6::int[])
    ON CONFLICT DO NOTHING
"""
_RELEASE = """
    UPDATE callback c SET due_at = r.due_at, attempts = c.attempts - 1
    FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS r(callback_id, attempt, due_at)
    WHERE c.callback_id = r.callback_id AND c.state = 'pending' AND c.attempts = r.attempt
"""
_DISABLE = """
    UPDATE endpoint SET state = 'disabled', disabled_reason = 'gone', updated_at = $2
    WHERE endpoint_id = ANY($1::uuid[]) AND state = 'active' RETURNING endpoint_id::text
"""
_LIST_ENDPOINTS = """
    SELECT e.endpoint_id::text, e.url, e.max_concurrency, array_agg(s.sealed ORDER BY s.secret_id) AS sealed
    FROM endpoint e JOIN endpoint_secret s USING (endpoint_id)
    WHERE e.state = 'active' GROUP BY e.endpoint_id ORDER BY e.endpoint_id
"""
# Of one event sent to several endpoints, only the first acknowledgement counts.
_FIND_ACKNOWLEDGED = """
    SELECT mine.callback_id::text FROM callback mine WHERE mine.callback_id = ANY($1::uuid[]) AND EXISTS (
        SELECT FROM callback other WHERE other.lead_id = mine.lead_id AND other.created_at = mine.created_at
          AND other.event_type = mine.event_type AND other.state = 'delivered' AND other.callback_id <> mine.callback_id
    )
"""
_BACKLOG = """
    SELECT count(*) AS pending, min(created_at) AS oldest,
           (SELECT count(*) FROM fallback_entry) AS waiting,
           (SELECT count(*) FROM endpoint WHERE state = 'active') AS active,
           (SELECT count(*) FROM endpoint WHERE state = 'disabled') AS disabled
    FROM callback WHERE state = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Result:
    """How one attempt ended. ``next_due`` None with a failure: given up."""

    claimed: Claimed
    started_at: datetime
    duration: timedelta
    state: str
    outcome: str
    status: int | None
    next_due: datetime | None
    is_gone: bool = False


class DeliveryStore:
    """Claims due callbacks and records outcomes."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def list_endpoints(self, secrets: SecretBox) -> list[EndpointConfig]:
        """Return the active endpoints, with every secret they sign with."""
        configs = []
        for row in await self._sql.fetch(_LIST_ENDPOINTS):
            try:
                keys = tuple(map(secrets.open, row["sealed"]))
            except SealBroken:
                # Unsigned is no way out: its callbacks wait until the right key is back or the secret is rotated.
                log.error("endpoint_secret_unreadable", endpoint_id=row["endpoint_id"])  # noqa: TRY400 - no stack wanted
                continue
            configs.append(EndpointConfig(row["endpoint_id"], row["url"], keys, row["max_concurrency"]))
        return configs

    async def claim_due(self, wanted: Mapping[str, int], now: datetime, leased_until: datetime) -> list[Claimed]:
        """Take what is due, at most ``wanted[endpoint_id]`` of each endpoint, earliest first."""
        rows = await self._sql.fetch(_CLAIM, list(wanted), list(wanted.values()), now, leased_until)
        claimed = [
            Claimed(
                callback_id=row["callback_id"],
                endpoint_id=row["endpoint_id"],
                body=row["body"],
                attempt=row["attempts"],
                due_at=row["due_at"],
                leased_until=leased_until,
                claimed_at=now,
                received_at=row["received_at"],
                copies=row["copies"],
            )
            for row in rows
        ]
        return sorted(claimed, key=lambda item: (item.due_at, item.callback_id))

    async def find_next_due(self, endpoint_ids: Sequence[str]) -> datetime | None:
        """Return when the next callback of these endpoints is due."""
        due: datetime | None = await self._sql.fetchval(_NEXT_DUE, endpoint_ids)
        return due

    async def release(self, claimed: Sequence[Claimed]) -> None:
        """Give back what was not sent, as if it had not been claimed."""
        await self._sql.execute(
            _RELEASE,
            [item.callback_id for item in claimed],
            [item.attempt for item in claimed],
            [item.due_at for item in claimed],
        )

    async def find_acknowledged(self, callback_ids: Sequence[str]) -> set[str]:
        """Return those whose event another endpoint acknowledged before."""
        rows = await self._sql.fetch(_FIND_ACKNOWLEDGED, callback_ids)
        return {row["callback_id"] for row in rows}

    async def save_results(self, results: Sequence[Result], now: datetime) -> list[str]:
        """Record outcomes; return the endpoints that were disabled because they are gone."""
        await self._sql.execute(
            _RECORD,
            [result.claimed.callback_id for result in results],
            [result.claimed.attempt for result in results],
            [result.state for result in results],
            [result.next_due for result in results],
            [None if result.state == "pending" else now for result in results],
            [result.status for result in results],
            [result.outcome for result in results],
            [_milliseconds(result.duration) for result in results],
        )
        failed = [result for result in results if result.state != "delivered"]
        if failed:
            await self._sql.execute(
                _RECORD_FAILED,
                [result.claimed.callback_id for result in failed],
                [result.claimed.attempt for result in failed],
                [result.started_at for result in failed],
                [_milliseconds(result.duration) for result in failed],
                [result.outcome for result in failed],
                [result.status for result in failed],
            )
        gone = sorted({result.claimed.endpoint_id for result in failed if result.is_gone})
        return await self._disable(gone, now) if gone else []

    async def _disable(self, endpoint_ids: Sequence[str], now: datetime) -> list[str]:
        rows = await self._sql.fetch(_DISABLE, endpoint_ids, now)
        return [row["endpoint_id"] for row in rows]

    async def measure_backlog(self) -> Mapping[str, Any]:
        """Return what the gauges show: pending, oldest, waiting, active, disabled."""
        row = await self._sql.fetchrow(_BACKLOG)
        return dict(row) if row is not None else {}


def _milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))
