"""Shows what the latest backtest of the live version found, as metrics: the process that runs it has none."""

from math import nan
from typing import Any, Final

from scoring import metrics
from scoring.backtest.repository import BacktestRepository
from scoring.domain.model import ScoringModel
from shared.documents import DocumentStore
from shared.runtime import Runtime
from shared.runtime.periodic import PeriodicDuty

EVERY_SECONDS: Final = 60.0


class ScoringHealth(PeriodicDuty):
    """Refreshes the gauges every now and then."""

    def __init__(self, runtime: Runtime[Any], models: DocumentStore[ScoringModel]) -> None:
        super().__init__(EVERY_SECONDS, "scoring_health_failed")
        self._runtime = runtime
        self._models = models

    async def run_once(self) -> None:
        """Refresh once. Of a version that was never tested nothing is known, and no number is shown."""
        async with self._runtime.database.connection() as sql:
            latest = await BacktestRepository(sql).find_latest(self._models.live.version)
        found: dict[str, Any] = {} if latest is None else latest.headline
        for gauge, name in ((metrics.AUC, "auc"), (metrics.BRIER, "brier"), (metrics.ECE, "ece")):
            value = found.get(name)
            gauge.set(nan if value is None else value)
        # An input that the latest backtest could not measure must not keep its last number.
        metrics.PSI.clear()
        for name, index in found.get("psi", {}).items():
            metrics.PSI.labels(name).set(index)
        age = nan if latest is None else (self._runtime.clock.now() - latest.asked_at).total_seconds()
        metrics.BACKTEST_AGE.set(age)
