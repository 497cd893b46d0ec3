"""Reps in SQL."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import Select, select

from routing.tables import rep, rep_load
from shared.db import Record, Sql

BUMP_VERSION = "UPDATE roster_version SET version = version + 1"

_INSERT = """
    INSERT INTO rep (rep_id, name, email, team, time_zone, working_hours, time_off, max_open, max_per_day, is_paused,
                     created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb, $8, $9, $10, $11, $11)
    ON CONFLICT (rep_id) DO NOTHING
"""
_UPDATE = """
    UPDATE rep SET name = $2, email = $3, team = $4, time_zone = $5, working_hours = $6::jsonb, time_off = $7::jsonb,
                   max_open = $8, max_per_day = $9, is_paused = $10, updated_at = $11
    WHERE rep_id = $1 AND removed_at IS NULL
"""


class RepStore:
    """Reads and writes reps. Every change moves the version that tells processes to read again."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def find(self, rep_id: str, *, is_locking: bool = False) -> Record | None:
        """Return the rep with its load, or None if there is none or it was removed."""
        if is_locking:
            await self._sql.execute("SELECT FROM rep WHERE rep_id = $1 FOR UPDATE", rep_id)
        rows = await self._sql.select(_with_load().where(rep.c.rep_id == rep_id))
        return rows[0] if rows else None

    async def list_page(self, *, team: str | None, after: str | None, limit: int) -> list[Record]:
        """Return reps by id."""
        statement = _with_load()
        if team is not None:
            statement = statement.where(rep.c.team == team)
        if after is not None:
            statement = statement.where(rep.c.rep_id > after)
        return await self._sql.select(statement.order_by(rep.c.rep_id).limit(limit))

    async def insert(self, rep_id: str, values: Mapping[str, Any], now: datetime) -> bool:
        """Add a rep; False if the id is taken, be it by one who was removed: history still names that one."""
        tag = await self._sql.execute(_INSERT, rep_id, *_arguments(values), now)
        if not tag.endswith(" 1"):
            return False
        await self._sql.execute("INSERT INTO rep_load (rep_id) VALUES ($1)", rep_id)
        await self._sql.execute(BUMP_VERSION)
        return True

    async def update(self, rep_id: str, values: Mapping[str, Any], now: datetime) -> None:
        """Replace a rep's settings."""
        await self._sql.execute(_UPDATE, rep_id, *_arguments(values), now)
        await self._sql.execute(BUMP_VERSION)

    async def remove(self, rep_id: str, now: datetime) -> None:
        """Take a rep out of every pool. Assignments stay as they are until somebody moves them."""
        await self._sql.execute("UPDATE rep SET removed_at = $2, updated_at = $2 WHERE rep_id = $1", rep_id, now)
        await self._sql.execute(BUMP_VERSION)


def _with_load() -> Select[Any]:
    columns = (rep, rep_load.c.open_leads, rep_load.c.day, rep_load.c.given)
    return select(*columns).join(rep_load, rep_load.c.rep_id == rep.c.rep_id).where(rep.c.removed_at.is_(None))


def _arguments(values: Mapping[str, Any]) -> tuple[Any, ...]:
    hours = values["working_hours"]
    return (
        values["name"],
        values["email"],
        values["team"],
        values["time_zone"],
        None if hours is None else msgspec.json.encode(hours).decode(),
        msgspec.json.encode(values["time_off"]).decode(),
        values["max_open"],
        values["max_per_day"],
        values["is_paused"],
    )


def given_today(row: Record, today: date) -> int:
    """Return how many leads the rep was given on its own *today*."""
    given: int = row["given"]
    return given if row["day"] == today else 0
