"""Tests the live version by itself, every few days: a score that has gone stale is not noticed otherwise."""

from datetime import timedelta
from typing import Any, Final

import structlog

from scoring.backtest.repository import BacktestRepository
from scoring.backtest.request import BACKTEST, BacktestRequest
from scoring.domain.model import ScoringModel
from scoring.jobs.repository import TooManyJobs, start_job
from scoring.outcomes.outcome import REACHES
from scoring.outcomes.repository import OutcomeRepository
from shared.documents import DocumentStore
from shared.runtime import Runtime
from shared.runtime.periodic import PeriodicDuty

log = structlog.get_logger(module=__name__)

EVERY_SECONDS: Final = 600.0
ASKED_BY: Final = "scoring"
PERIOD: Final = timedelta(days=365)  # seasons cancel out, and the horizon fits in three times to fit a mapping
FEWEST_OUTCOMES: Final = 30  # what a backtest needs at the least: before, each would only be refused


class BacktestSchedule(PeriodicDuty):
    """Starts a backtest of the live version when its last one is *every* old, or it has none. Of several processes
    one does."""

    def __init__(self, runtime: Runtime[Any], models: DocumentStore[ScoringModel], every: timedelta) -> None:
        super().__init__(EVERY_SECONDS, "backtest_not_scheduled")
        self._runtime = runtime
        self._models = models
        self._every = every

    async def run_once(self) -> str | None:
        """Start a backtest if one is due; return its job's id."""
        if not self._every:
            return None
        version = self._models.live.version
        async with self._runtime.work_with(BacktestRepository) as work:
            await work.repo.lock_schedule()
            asked_at = await work.repo.find_latest_asked(version, ASKED_BY)
            if asked_at is not None and work.now - asked_at < self._every:
                return None
            outcomes = OutcomeRepository(work.repo.sql)
            if await outcomes.count(REACHES["opportunity"], FEWEST_OUTCOMES) < FEWEST_OUTCOMES:
                return None
            horizon = timedelta(days=BacktestRequest.model_fields["horizon_days"].default)
            until = work.now - horizon
            request = BacktestRequest(version=version, since=until - PERIOD, until=until)
            try:
                job_id = await start_job(work.repo.sql, BACKTEST, request, actor=ASKED_BY, now=work.now)
            except TooManyJobs:
                return None
            work.audit(actor=ASKED_BY, action="backtest.started", subject=f"job/{job_id}", after={"version": version})
        log.info("backtest_scheduled", job_id=job_id, version=version)
        return job_id
