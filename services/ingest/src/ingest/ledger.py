"""Keeps the ledger's metrics fresh and its counters short."""

import asyncio
from datetime import timedelta

from ingest import metrics
from ingest.domain.ledger import balance
from ingest.repository import IngestRepository
from shared.ids import first_id_of
from shared.runtime import Runtime
from shared.runtime.failures import is_dependency_failure
from shared.waiting import until_set

EVERY_SECONDS = 2.0
FORGET_EVERY = timedelta(hours=1)


class LedgerKeeper:
    """Every two seconds: gauges, and the counters' rows summed up. Every hour: delivery keys past their term go."""

    def __init__(self, runtime: Runtime[IngestRepository], delivery_term: timedelta) -> None:
        self._runtime = runtime
        self._delivery_term = delivery_term
        self._forgot_at = runtime.clock.now() - FORGET_EVERY
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Repeat until `drain`."""
        while not self._stopping.is_set():
            try:
                await self.run_once()
            except Exception as error:
                if not is_dependency_failure(error):
                    raise
            await until_set(self._stopping, EVERY_SECONDS)

    async def drain(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def run_once(self) -> None:
        """Do everything that is due."""
        now = self._runtime.clock.now()
        async with self._runtime.read() as repo:
            await repo.ledger.compact()
            counters = await repo.ledger.load_counters()
            oldest = await repo.ledger.find_oldest_in_flight(now)
            if now - self._forgot_at >= FORGET_EVERY:
                await repo.quarantine.forget_deliveries(first_id_of(now - self._delivery_term))
                self._forgot_at = now
        result = balance(counters)
        for state, count in result.by_state.items():
            metrics.LEDGER_RECORDS.labels(state).set(count)
        metrics.LEDGER_IMBALANCE.set(result.imbalance)
        metrics.LEDGER_OLDEST.set(oldest.total_seconds() if oldest is not None else 0)
