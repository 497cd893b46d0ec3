"""Counts the running clocks for the metrics."""

import asyncio

import structlog

from shared.runtime import Runtime
from shared.waiting import until_set
from sla_monitor import metrics
from sla_monitor.repository import SlaRepository

log = structlog.get_logger(module=__name__)


class ClockCensus:
    """Refreshes the gauge of running clocks every now and then; counted per scrape, scrapers would set the load."""

    def __init__(self, runtime: Runtime[SlaRepository], every_seconds: float) -> None:
        self._runtime = runtime
        self._every_seconds = every_seconds
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Count until `drain`."""
        while not self._stopping.is_set():
            try:
                await self.run_once()
            except Exception as error:  # noqa: BLE001 - a metric is not worth a crash; the next count may succeed
                log.warning("census_failed", error=type(error).__name__)
            await until_set(self._stopping, self._every_seconds)

    async def drain(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def run_once(self) -> None:
        """Count once."""
        async with self._runtime.read() as repo:
            rows = await repo.count_open_clocks()
        # A state without clocks is missing from the rows, and must not keep its last number.
        metrics.CLOCKS_OPEN.clear()
        for row in rows:
            metrics.CLOCKS_OPEN.labels(row["stage"], row["state"]).set(row["clocks"])
