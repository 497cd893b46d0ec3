"""Runs jobs one after the other, each in a child process, and looks after it until it ends."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import structlog

from scoring.jobs.repository import Claim, JobRepository
from shared.runtime import Runtime
from shared.runtime.failures import is_dependency_failure
from shared.waiting import until_set

POLL_SECONDS: Final = 1.0
BEAT_SECONDS: Final = 1.0
REMOVE_EVERY: Final = timedelta(hours=1)
COMMAND: Final = (sys.executable, "-m", "scoring.jobs")

log = structlog.get_logger(module=__name__)

Outcome = Literal["exited", "stopped", "draining"]


class JobRunner:
    """Claims jobs, runs each in a process of its own, takes up those whose runner died, removes old ones.

    Of all runners of an installation one has a job at a time. *command*: the child's, which gets the job's id and the
    attempt's number behind it.
    """

    def __init__(self, runtime: Runtime[Any], kept: timedelta, command: Sequence[str] = COMMAND) -> None:
        self._runtime = runtime
        self._kept = kept
        self._command = command
        self._removed_at: datetime | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run jobs until `drain`."""
        while not self._stopping.is_set():
            try:
                has_run = await self.run_once()
            except Exception as error:  # noqa: BLE001 - scores are decided without us; the next look may succeed
                log.warning("jobs_not_looked_at", error=type(error).__name__)
                has_run = False
            if not has_run:
                await until_set(self._stopping, POLL_SECONDS)

    async def drain(self) -> None:
        """Put back the job in hand, and let `run` return."""
        self._stopping.set()

    async def run_once(self) -> bool:
        """Run the next job until it ends; return False if none is to be run here and now."""
        now = self._runtime.clock.now()
        async with self._runtime.database.connection() as sql:
            jobs = JobRepository(sql)
            if self._removed_at is None or now - self._removed_at >= REMOVE_EVERY:
                await jobs.remove_ended_jobs(now - self._kept)
                self._removed_at = now
            for job_id in await jobs.lose_dead_jobs(now):
                log.warning("job_lost", job_id=job_id)
            claim = await jobs.claim_due_job(now)
        if claim is None:
            return False
        await self._run_child(claim)
        return True

    async def _run_child(self, claim: Claim) -> None:
        log.info("job_started", job_id=claim.job_id, attempt=claim.attempt)
        process = await asyncio.create_subprocess_exec(
            *self._command, claim.job_id, str(claim.attempt), stdin=asyncio.subprocess.PIPE, env=self._environment()
        )
        try:
            outcome = await self._look_after(process, claim)
        finally:
            # Whatever happened to us, nobody works on a claim that nobody looks after.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        async with self._runtime.database.connection() as sql:
            jobs = JobRepository(sql)
            if outcome == "draining":
                await jobs.put_back(claim)
            else:  # a child that wrote down how it ended has left nothing to lose
                await jobs.lose_job(claim, self._runtime.clock.now())
        log.info("job_left", job_id=claim.job_id, attempt=claim.attempt, exit_code=process.returncode, outcome=outcome)

    async def _look_after(self, process: asyncio.subprocess.Process, claim: Claim) -> Outcome:
        """Wait until the child ends by itself, or has to: cancelled, given to another runner, or we are draining."""
        exited = asyncio.create_task(process.wait())
        draining = asyncio.create_task(self._stopping.wait())
        try:
            while True:
                await asyncio.wait({exited, draining}, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if exited.done():
                    return "exited"
                if draining.done():
                    return "draining"
                if not await self._beat(claim):
                    return "stopped"
        finally:
            exited.cancel()
            draining.cancel()

    async def _beat(self, claim: Claim) -> bool:
        try:
            async with self._runtime.database.connection() as sql:
                return await JobRepository(sql).beat(claim)
        except Exception as error:
            if not is_dependency_failure(error):
                raise
            return True  # the child finds out by itself; and if another runner has the job by then, its word counts

    def _environment(self) -> dict[str, str]:
        """Return the child's environment: ours, and what this service's settings say whoever gave them.

        One thread for each numeric library: the other cores are the service's.
        """
        settings = self._runtime.settings
        return {
            **os.environ,
            "SCORING_DATABASE_URL": settings.database_url.get_secret_value(),
            "LEADRAIL_SECRET_KEY": settings.secret_key.get_secret_value(),
            "LOG_LEVEL": settings.log_level,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
