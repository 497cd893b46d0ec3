"""Jobs in Postgres: asked for by routes, claimed by a runner, ended by the process that did the work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec
from sqlalchemy import select

from scoring.jobs.kinds import JobState
from scoring.tables import job
from shared.db import Record, Sql
from shared.http import Strict
from shared.ids import new_id

DEAD_AFTER: Final = timedelta(seconds=5)  # five beats: a runner that misses them is gone, or as good as
MOST_LOSSES: Final = 5  # a job that takes its process down with it must not do so for ever
MOST_QUEUED: Final = 50

_LOST_TOO_OFTEN: Final = f"The process that ran it died {MOST_LOSSES} times. Its log says of what (often: memory)."

# One at a time, the oldest first. Of two runners that claim at once one is refused by the index job_running.
_CLAIM = """
    UPDATE job SET state = 'running', attempt = attempt + 1, started_at = $1, beat_at = now(), done = 0, total = 0
    WHERE job_id = (
        SELECT job_id FROM job
        WHERE state = 'queued' AND NOT EXISTS (SELECT FROM job WHERE state = 'running')
        ORDER BY job_id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING job_id::text, attempt
"""
_GIVEN_UP: Final = f"losses + 1 >= {MOST_LOSSES}"
_LOSE = f"""
    UPDATE job SET
        losses = losses + 1,
        state = CASE WHEN is_cancelled THEN 'cancelled' WHEN {_GIVEN_UP} THEN 'failed' ELSE 'queued' END,
        error = CASE WHEN NOT is_cancelled AND {_GIVEN_UP} THEN '{_LOST_TOO_OFTEN}' END,
        ended_at = CASE WHEN is_cancelled OR {_GIVEN_UP} THEN $1::timestamptz END
    WHERE state = 'running'
"""  # noqa: S608 - constants
_LOSE_DEAD = _LOSE + " AND beat_at < now() - $2::interval RETURNING job_id::text"
_LOSE_OWN = _LOSE + " AND job_id = $2 AND attempt = $3"

_END = """
    UPDATE job SET state = $3, ended_at = $4, result = $5, error = $6,
                   done = CASE WHEN $3 = 'done' THEN total ELSE done END
    WHERE job_id = $1 AND attempt = $2 AND state = 'running' AND NOT is_cancelled
"""


class TooManyJobs(Exception):
    """So many jobs wait already that this one would not be looked at today."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours to run. ``attempt`` tells our run from an earlier one that was thought dead and is not."""

    job_id: str
    attempt: int


async def start_job(sql: Sql, kind: str, request: Strict, *, actor: str, now: datetime) -> str:
    """Queue a job; return its id. Errors: `TooManyJobs`."""
    if await sql.fetchval("SELECT count(*) FROM job WHERE state = 'queued'") >= MOST_QUEUED:
        raise TooManyJobs
    job_id = new_id()
    await sql.execute(
        "INSERT INTO job (job_id, kind, request, asked_by, asked_at) VALUES ($1, $2, $3, $4, $5)",
        job_id,
        kind,
        request.model_dump_json(),
        actor,
        now,
    )
    return job_id


class JobRepository:
    """The table of jobs. What a runner or its child changes is changed only while the claim is still theirs."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql

    async def claim_due_job(self, now: datetime) -> Claim | None:
        """Claim the job that has waited longest; None if none waits or one runs, here or elsewhere."""
        try:
            row = await self.sql.fetchrow(_CLAIM, now)
        except asyncpg.UniqueViolationError:
            return None
        return None if row is None else Claim(row["job_id"], row["attempt"])

    async def beat(self, claim: Claim) -> bool:
        """Say that the job is still looked after; return whether to go on: False = cancelled, or not ours any more."""
        return await self.sql.fetchval(
            "UPDATE job SET beat_at = now() WHERE job_id = $1 AND attempt = $2 AND state = 'running'"
            " AND NOT is_cancelled RETURNING true",
            claim.job_id,
            claim.attempt,
        ) is True  # fmt: skip

    async def lose_dead_jobs(self, now: datetime) -> list[str]:
        """Queue jobs again whose runner does not look after them any more; return their ids."""
        return [row["job_id"] for row in await self.sql.fetch(_LOSE_DEAD, now, DEAD_AFTER)]

    async def lose_job(self, claim: Claim, now: datetime) -> None:
        """Queue the job again, if its process ended without a word; or end it, if it was cancelled, or this is one
        time too many."""
        await self.sql.execute(_LOSE_OWN, now, claim.job_id, claim.attempt)

    async def put_back(self, claim: Claim) -> None:
        """Queue the job again, because the service ends and not because of the job."""
        await self.sql.execute(
            "UPDATE job SET state = 'queued' WHERE job_id = $1 AND attempt = $2 AND state = 'running'",
            claim.job_id,
            claim.attempt,
        )

    async def find_claimed(self, claim: Claim) -> Record | None:
        """Return kind, request and the instant it was asked at, if the job is still this claim's to run."""
        return await self.sql.fetchrow(
            "SELECT kind, request::text, asked_at FROM job WHERE job_id = $1 AND attempt = $2 AND state = 'running'"
            " AND NOT is_cancelled",
            claim.job_id,
            claim.attempt,
        )

    async def save_progress(self, claim: Claim, done: int, total: int) -> bool:
        """Store how far it is; return whether to go on, like `beat`."""
        return await self.sql.fetchval(
            "UPDATE job SET done = $3, total = $4 WHERE job_id = $1 AND attempt = $2 AND state = 'running'"
            " AND NOT is_cancelled RETURNING true",
            claim.job_id,
            claim.attempt,
            done,
            total,
        ) is True  # fmt: skip

    async def save_result(self, claim: Claim, result: Mapping[str, Any], now: datetime) -> None:
        """End the job well."""
        text = msgspec.json.encode(result).decode()
        await self.sql.execute(_END, claim.job_id, claim.attempt, "done", now, text, None)

    async def save_failure(self, claim: Claim, sentence: str, now: datetime) -> None:
        """End the job badly, with the reason."""
        await self.sql.execute(_END, claim.job_id, claim.attempt, "failed", now, None, sentence)

    async def cancel_job(self, job_id: str, now: datetime) -> bool:
        """Cancel a job that waits at once, one that runs within a second or two; False if it has ended."""
        return await self.sql.fetchval(
            "UPDATE job SET is_cancelled = true, state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,"
            " ended_at = CASE state WHEN 'queued' THEN $2::timestamptz END"
            " WHERE job_id = $1 AND state IN ('queued', 'running') RETURNING true",
            job_id,
            now,
        ) is True  # fmt: skip

    async def find_job(self, job_id: str) -> Record | None:
        """Return a job with its result."""
        rows = await self.sql.select(select(job).where(job.c.job_id == job_id))
        return rows[0] if rows else None

    async def list_jobs(
        self,
        *,
        kind: str | None = None,
        state: JobState | None = None,
        about: Mapping[str, str] | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Record]:
        """Return jobs without their results, newest first. *about*: what their request says (``version``: ``7``)."""
        statement = select(*[column for column in job.c if column.name != "result"]).order_by(job.c.job_id.desc())
        if kind is not None:
            statement = statement.where(job.c.kind == kind)
        if state is not None:
            statement = statement.where(job.c.state == state)
        for name, value in (about or {}).items():
            statement = statement.where(job.c.request[name].astext == value)
        if before is not None:
            statement = statement.where(job.c.job_id < before)
        return await self.sql.select(statement.limit(limit))

    async def remove_ended_jobs(self, before: datetime) -> int:
        """Remove jobs that ended before an instant; return how many."""
        tag = await self.sql.execute("DELETE FROM job WHERE ended_at < $1", before)
        return int(tag.rpartition(" ")[2])
