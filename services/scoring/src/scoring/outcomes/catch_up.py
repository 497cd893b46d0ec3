"""Finds outcomes that were stored before there was a place for them."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from scoring.outcomes.repository import CATCH_UP_BATCH, OutcomeRepository
from scoring.repository import ScoringRepository
from shared.runtime import Runtime
from shared.waiting import until_set

log = structlog.get_logger(module=__name__)

EVERY: Final = timedelta(hours=1)
OVERLAP: Final = timedelta(days=1)  # longer than two releases run beside each other


class OutcomeCatchUp:
    """Makes outcomes of CRM reports that are kept as activities only: those from before the table existed, and those
    that a process of the release before takes in while releases change."""

    def __init__(self, runtime: Runtime[ScoringRepository]) -> None:
        self._runtime = runtime
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Catch up now and then until `drain`."""
        while not self._stopping.is_set():
            try:
                await self.run_once()
            except Exception as error:  # noqa: BLE001 - the database may be away; the next look may succeed
                log.warning("outcome_catch_up_failed", error=type(error).__name__)
            await until_set(self._stopping, EVERY.total_seconds())

    async def drain(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def run_once(self) -> int:
        """Catch up, batch by batch; return how many outcomes were missing."""
        done_until, found = self._runtime.clock.now() - OVERLAP, 0
        while not self._stopping.is_set():
            async with self._runtime.work_with(OutcomeRepository) as work:
                number = await work.repo.catch_up(done_until)
            found += number
            if number < CATCH_UP_BATCH:
                break
        if found:
            log.info("outcomes_caught_up", outcomes=found)
        return found
