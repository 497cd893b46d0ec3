"""``python -m scoring.jobs JOB_ID ATTEMPT``: the process that one job runs in. The service starts it; nobody else."""

import asyncio
import contextlib
import os
import sys
from typing import Final

from scoring.jobs.execution import execute_job
from scoring.jobs.repository import Claim
from scoring.model_document import model_store
from scoring.settings import ScoringSettings
from shared.clock import SystemClock
from shared.db import Database
from shared.logs import configure_logs

NICENESS: Final = 10  # the service decides about leads on the same machine, and comes first
CONNECTIONS: Final = 2
STATEMENT_SECONDS: Final = 600.0  # of a period of years, once: nobody waits for it


def main() -> None:
    """Run one job to its end."""
    _, job_id, attempt = sys.argv
    os.nice(NICENESS)
    settings = ScoringSettings()
    configure_logs("scoring", settings.log_level)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_run_with_parent(settings, Claim(job_id, int(attempt))))


async def _run_with_parent(settings: ScoringSettings, claim: Claim) -> None:
    """Run the job for as long as the service lives that started us: our standard input is a pipe that only it holds.

    What this process does after the service died does not count: the job is another attempt's by then.
    """
    running = asyncio.create_task(_run(settings, claim))
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _Parent(running), sys.stdin)
    try:
        await running
    finally:
        pipe.close()


class _Parent(asyncio.Protocol):
    """Ends our work when the service has closed its end of the pipe, however that came about."""

    def __init__(self, running: "asyncio.Task[None]") -> None:
        self._running = running

    def connection_lost(self, _error: Exception | None) -> None:
        """Cancel the work; if it is done, this is our own closing."""
        self._running.cancel()


async def _run(settings: ScoringSettings, claim: Claim) -> None:
    clock = SystemClock()
    models = model_store()
    database = Database(
        settings.database_url.get_secret_value(),
        schema="scoring",
        application_name="leadrail-scoring-job",
        size=CONNECTIONS,
        statement_seconds=STATEMENT_SECONDS,
    )
    await database.open()
    try:
        await models.open(database, clock.now())
        await execute_job(database, models, claim, clock)
    finally:
        await database.close()


if __name__ == "__main__":
    main()
