"""Reads for people: a lead's routing, assignments, the fallback queue."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select, tuple_
from sqlalchemy import literal as value_of

from routing.tables import assignment, decision, fallback_entry, lead
from shared.db import Record, Sql

_LATEST = 50


class Listings:
    """What routing knows, in pages."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def find_lead(self, lead_id: str) -> Record | None:
        """Return a lead's row without its data, or None if routing never heard of it."""
        columns = (lead.c.lead_id, lead.c.decided_at, lead.c.blocked_at, lead.c.updated_at)
        rows = await self._sql.select(select(*columns).where(lead.c.lead_id == lead_id))
        return rows[0] if rows else None

    async def list_assignments_of(self, lead_id: str) -> list[Record]:
        """Return the lead's latest assignments, newest first."""
        statement = select(assignment).where(assignment.c.lead_id == lead_id)
        return await self._sql.select(statement.order_by(assignment.c.assignment_id.desc()).limit(_LATEST))

    async def list_decisions_of(self, lead_id: str) -> list[Record]:
        """Return the lead's latest decisions with their traces, newest first."""
        statement = select(decision).where(decision.c.lead_id == lead_id)
        return await self._sql.select(statement.order_by(decision.c.decision_id.desc()).limit(_LATEST))

    async def find_decision(self, decision_id: str) -> Record | None:
        """Return one decision with its trace."""
        rows = await self._sql.select(select(decision).where(decision.c.decision_id == decision_id))
        return rows[0] if rows else None

    async def find_waiting(self, lead_id: str) -> Record | None:
        """Return the lead's place in the fallback queue."""
        rows = await self._sql.select(select(fallback_entry).where(fallback_entry.c.lead_id == lead_id))
        return rows[0] if rows else None

    async def list_assignments(self, filters: Mapping[str, Any], *, before: str | None, limit: int) -> list[Record]:
        """Return assignments, newest first. ``filters``: rep_id, team, pool, source_key, state, since."""
        statement = select(assignment)
        for name in ("rep_id", "team", "pool", "source_key"):
            if filters.get(name) is not None:
                statement = statement.where(assignment.c[name] == filters[name])
        if filters.get("since") is not None:
            statement = statement.where(assignment.c.assigned_at >= filters["since"])
        running = assignment.c.ended_at.is_(None)
        match filters.get("state"):
            case "open":
                statement = statement.where(and_(running, assignment.c.worked_at.is_(None)))
            case "worked":
                statement = statement.where(and_(running, assignment.c.worked_at.is_not(None)))
            case "ended":
                statement = statement.where(assignment.c.ended_at.is_not(None))
            case _:
                pass
        if before is not None:
            statement = statement.where(assignment.c.assignment_id < before)
        return await self._sql.select(statement.order_by(assignment.c.assignment_id.desc()).limit(limit))

    async def list_waiting(self, *, reason: str | None, after: tuple[datetime, str] | None, limit: int) -> list[Record]:
        """Return the fallback queue, longest waiting first."""
        statement = select(fallback_entry)
        if reason is not None:
            statement = statement.where(fallback_entry.c.reason == reason)
        if after is not None:
            position = tuple_(fallback_entry.c.queued_at, fallback_entry.c.lead_id)
            last = tuple_(
                value_of(after[0], fallback_entry.c.queued_at.type), value_of(after[1], fallback_entry.c.lead_id.type)
            )
            statement = statement.where(position > last)
        return await self._sql.select(
            statement.order_by(fallback_entry.c.queued_at, fallback_entry.c.lead_id).limit(limit)
        )
