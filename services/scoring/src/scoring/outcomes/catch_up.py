"""Finds outcomes that were stored before there was a place for them."""

from datetime import timedelta
from typing import Final

import structlog

from scoring.outcomes.repository import CATCH_UP_BATCH, OutcomeRepository
from scoring.repository import ScoringRepository
from shared.runtime import Runtime
from shared.runtime.periodic import PeriodicDuty

log = structlog.get_logger(module=__name__)

EVERY: Final = timedelta(hours=1)
OVERLAP: Final = timedelta(days=1)  # longer than two releases run beside each other


class OutcomeCatchUp(PeriodicDuty):
    """Makes outcomes of CRM reports that are kept as activities only: those from before the table existed, and those
    that a process of the release before takes in while releases change."""

    def __init__(self, runtime: Runtime[ScoringRepository]) -> None:
        super().__init__(EVERY.total_seconds(), "outcome_catch_up_failed")
        self._runtime = runtime

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
