"""Callback endpoints and callbacks in SQL, for the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select

from routing.delivery.store import NOTIFY_CHANNEL
from routing.reps import BUMP_VERSION
from routing.tables import callback, endpoint, endpoint_secret, failed_attempt, lead
from shared.db import Record, Sql

ACTIVE_SECRETS = 2

_INSERT = """
    INSERT INTO endpoint (endpoint_id, url, description, events, max_concurrency, state, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, 'active', $6, $6)
"""
_UPDATE = """
    UPDATE endpoint SET url = $2, description = $3, events = $4, max_concurrency = $5, state = $6,
                        disabled_reason = $7, updated_at = $8
    WHERE endpoint_id = $1
"""
_TRIM_SECRETS = """
    DELETE FROM endpoint_secret WHERE endpoint_id = $1 AND secret_id NOT IN (
        SELECT secret_id FROM endpoint_secret WHERE endpoint_id = $1 ORDER BY secret_id DESC LIMIT $2
    )
"""
_CANCEL_ALL = """
    UPDATE callback SET state = 'cancelled', settled_at = $2 WHERE endpoint_id = $1 AND state IN ('pending', 'failed')
"""
# Nobody hears again of a lead whose consent was withdrawn since: only the withdrawal itself may be repeated.
_MAY_RESEND = """
    (c.event_type = 'consent.withdrawn' OR NOT EXISTS (
        SELECT FROM lead l WHERE l.lead_id = c.lead_id AND l.blocked_at >= l.decided_at))
"""
_RESEND = f"""
    UPDATE callback c SET state = 'pending', attempts = 0, due_at = $2, settled_at = NULL
    WHERE c.callback_id = $1 AND c.state IN ('pending', 'failed', 'delivered') AND {_MAY_RESEND}
    RETURNING c.callback_id
"""  # noqa: S608 - constants only
_REPLAY = f"""
    WITH again AS (
        UPDATE callback c SET state = 'pending', attempts = 0, due_at = $4, settled_at = NULL
        WHERE c.endpoint_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.state = ANY($5::text[])
          AND {_MAY_RESEND}
        RETURNING 1
    ) SELECT count(*) FROM again
"""  # noqa: S608 - constants only


class EndpointStore:
    """Reads and writes endpoints; every change wakes the delivery workers when it commits."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def find(self, endpoint_id: str, *, is_locking: bool = False) -> Record | None:
        """Return the endpoint, or None if there is none or it was removed."""
        statement = _endpoints().where(endpoint.c.endpoint_id == endpoint_id)
        rows = await self._sql.select(statement.with_for_update() if is_locking else statement)
        return rows[0] if rows else None

    async def list_page(self, *, after: str | None, limit: int) -> list[Record]:
        """Return endpoints, oldest first."""
        statement = _endpoints()
        if after is not None:
            statement = statement.where(endpoint.c.endpoint_id > after)
        return await self._sql.select(statement.order_by(endpoint.c.endpoint_id).limit(limit))

    async def list_secrets(self, endpoint_ids: Sequence[str]) -> list[Record]:
        """Return id and age of the active secrets, never the secrets."""
        columns = (endpoint_secret.c.secret_id, endpoint_secret.c.endpoint_id, endpoint_secret.c.created_at)
        statement = select(*columns).where(endpoint_secret.c.endpoint_id.in_(list(endpoint_ids)))
        return await self._sql.select(statement.order_by(endpoint_secret.c.secret_id))

    async def insert(self, endpoint_id: str, values: Mapping[str, Any], now: datetime) -> None:
        """Add an endpoint (without a secret yet)."""
        await self._sql.execute(
            _INSERT,
            endpoint_id,
            values["url"],
            values["description"],
            values["events"],
            values["max_concurrency"],
            now,
        )
        await self._announce()

    async def update(self, endpoint_id: str, values: Mapping[str, Any], now: datetime) -> None:
        """Replace an endpoint's settings."""
        await self._sql.execute(
            _UPDATE,
            endpoint_id,
            values["url"],
            values["description"],
            values["events"],
            values["max_concurrency"],
            values["state"],
            values["disabled_reason"],
            now,
        )
        await self._announce()

    async def add_secret(self, endpoint_id: str, secret_id: str, sealed: bytes, now: datetime) -> None:
        """Add a signing secret; the one before stays active, older ones end."""
        await self._sql.execute(
            "INSERT INTO endpoint_secret (secret_id, endpoint_id, sealed, created_at) VALUES ($1, $2, $3, $4)",
            secret_id,
            endpoint_id,
            sealed,
            now,
        )
        await self._sql.execute(_TRIM_SECRETS, endpoint_id, ACTIVE_SECRETS)
        await self._announce()

    async def revoke_secret(self, endpoint_id: str, secret_id: str) -> str:
        """End a secret: ``revoked``, ``unknown``, or ``last`` (an endpoint keeps at least one)."""
        rows = await self._sql.fetch(
            "SELECT secret_id::text FROM endpoint_secret WHERE endpoint_id = $1 FOR UPDATE", endpoint_id
        )
        if secret_id not in {row["secret_id"] for row in rows}:
            return "unknown"
        if len(rows) == 1:
            return "last"
        await self._sql.execute("DELETE FROM endpoint_secret WHERE secret_id = $1", secret_id)
        await self._announce()
        return "revoked"

    async def remove(self, endpoint_id: str, now: datetime) -> None:
        """End an endpoint: no new callbacks, the waiting ones are cancelled, its secrets are gone."""
        await self._sql.execute(
            "UPDATE endpoint SET state = 'removed', updated_at = $2 WHERE endpoint_id = $1", endpoint_id, now
        )
        await self._sql.execute("DELETE FROM endpoint_secret WHERE endpoint_id = $1", endpoint_id)
        await self._sql.execute(_CANCEL_ALL, endpoint_id, now)
        await self._announce()

    async def replay(
        self, endpoint_id: str, since: datetime, until: datetime, states: Sequence[str], now: datetime
    ) -> int:
        """Make callbacks written in [since, until) due again, with their own ids; return how many."""
        count: int = await self._sql.fetchval(_REPLAY, endpoint_id, since, until, now, list(states))
        await self._wake("")
        return count

    async def resend(self, callback_id: str, now: datetime) -> bool:
        """Make one callback due again; False if it was cancelled or its lead may not be contacted any more."""
        is_due = await self._sql.fetchval(_RESEND, callback_id, now) is not None
        await self._wake("")
        return is_due

    async def find_callback(self, callback_id: str) -> Record | None:
        """Return one callback without its body."""
        rows = await self._sql.select(_callbacks().where(callback.c.callback_id == callback_id))
        return rows[0] if rows else None

    async def list_callbacks(self, filters: Mapping[str, Any], *, before: str | None, limit: int) -> list[Record]:
        """Return callbacks, newest first. ``filters``: endpoint_id, state, event_type, lead_id, since."""
        statement = _callbacks()
        for name in ("endpoint_id", "state", "event_type", "lead_id"):
            if filters.get(name) is not None:
                statement = statement.where(callback.c[name] == filters[name])
        if filters.get("since") is not None:
            statement = statement.where(callback.c.created_at >= filters["since"])
        if before is not None:
            statement = statement.where(callback.c.callback_id < before)
        return await self._sql.select(statement.order_by(callback.c.callback_id.desc()).limit(limit))

    async def list_failed_attempts(self, callback_ids: Sequence[str]) -> list[Record]:
        """Return the attempts of these callbacks that failed, in order."""
        statement = select(failed_attempt).where(failed_attempt.c.callback_id.in_(list(callback_ids)))
        return await self._sql.select(statement.order_by(failed_attempt.c.callback_id, failed_attempt.c.started_at))

    async def is_blocked(self, lead_id: str) -> bool:
        """Say if consent forbids contact with the lead."""
        is_blocked = or_(lead.c.decided_at.is_(None), lead.c.blocked_at >= lead.c.decided_at)
        condition = and_(lead.c.lead_id == lead_id, lead.c.blocked_at.is_not(None), is_blocked)
        return bool(await self._sql.select(select(lead.c.lead_id).where(condition)))

    async def _announce(self) -> None:
        await self._sql.execute(BUMP_VERSION)
        await self._wake("endpoints")

    async def _wake(self, payload: str) -> None:
        await self._sql.fetchval("SELECT pg_notify($1, $2)", NOTIFY_CHANNEL, payload)


def _endpoints() -> Select[Any]:
    return select(endpoint).where(endpoint.c.state != "removed")


def _callbacks() -> Select[Any]:
    return select(*(column for column in callback.c if column.name != "body"))
