"""Finished backtests, and whether another one is due. Backtests are jobs: see `scoring.jobs`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from scoring.backtest.request import BACKTEST
from shared.db import Record, Sql

_SCHEDULE_LOCK: Final = 0x5C0F  # a space of advisory locks of our own

_FINISHED = """
    SELECT job_id::text, request::text, result->>'headline' AS headline, asked_by, asked_at, ended_at
    FROM job WHERE kind = $1 AND state = 'done' AND ($2::text IS NULL OR request->>'version' = $2)
    AND ($3::uuid IS NULL OR job_id < $3) ORDER BY job_id DESC LIMIT $4
"""
_LATEST_ASKED = """
    SELECT max(asked_at) FROM job WHERE kind = $1 AND request->>'version' = $2 AND asked_by = $3
"""


@dataclass(frozen=True, slots=True)
class FinishedBacktest:
    """What was asked, and the numbers a list shows."""

    job_id: str
    request: dict[str, Any]
    headline: dict[str, Any]
    asked_by: str
    asked_at: datetime
    ended_at: datetime


class BacktestRepository:
    """The jobs that are backtests."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql

    async def list_finished(self, *, version: str | None, before: str | None, limit: int) -> list[FinishedBacktest]:
        """Return finished backtests (of *version* only, if given), newest first."""
        return [_finished(row) for row in await self.sql.fetch(_FINISHED, BACKTEST, version, before, limit)]

    async def find_latest(self, version: str) -> FinishedBacktest | None:
        """Return the newest finished backtest of *version*."""
        found = await self.list_finished(version=version, before=None, limit=1)
        return found[0] if found else None

    async def lock_schedule(self) -> None:
        """Wait until no other process decides whether a backtest is due, and keep it so until the transaction ends."""
        await self.sql.execute("SELECT pg_advisory_xact_lock($1, 0)", _SCHEDULE_LOCK)

    async def find_latest_asked(self, version: str, asked_by: str) -> datetime | None:
        """Return when *asked_by* last asked for a backtest of *version*, whatever became of it."""
        asked_at: datetime | None = await self.sql.fetchval(_LATEST_ASKED, BACKTEST, version, asked_by)
        return asked_at


def _finished(row: Record) -> FinishedBacktest:
    return FinishedBacktest(
        job_id=row["job_id"],
        request=msgspec.json.decode(row["request"]),
        headline=msgspec.json.decode(row["headline"]),
        asked_by=row["asked_by"],
        asked_at=row["asked_at"],
        ended_at=row["ended_at"],
    )
