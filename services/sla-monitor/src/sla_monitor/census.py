"""Counts the running clocks for the metrics."""

from shared.runtime import Runtime
from shared.runtime.periodic import PeriodicDuty
from sla_monitor import metrics
from sla_monitor.repository import SlaRepository


class ClockCensus(PeriodicDuty):
    """Refreshes the gauge of running clocks every now and then; counted per scrape, scrapers would set the load."""

    def __init__(self, runtime: Runtime[SlaRepository], every_seconds: float) -> None:
        super().__init__(every_seconds, "census_failed")
        self._runtime = runtime

    async def run_once(self) -> None:
        """Count once."""
        async with self._runtime.read() as repo:
            rows = await repo.count_open_clocks()
        # A state without clocks is missing from the rows, and must not keep its last number.
        metrics.CLOCKS_OPEN.clear()
        for row in rows:
            metrics.CLOCKS_OPEN.labels(row["stage"], row["state"]).set(row["clocks"])
