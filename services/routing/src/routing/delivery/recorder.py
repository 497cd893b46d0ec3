"""Writes outcomes of callbacks, many in one transaction."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from routing.delivery.lane import Claimed
from routing.delivery.store import DeliveryStore, Result
from shared.runtime import Runtime
from shared.runtime.failures import is_dependency_failure
from shared.runtime.metrics import SPEED_TO_LEAD

log = structlog.get_logger(module=__name__)

PACE = 0.01  # under load one transaction per 10 ms: at 1,500/s some 15 outcomes share a commit
RETRY_SECONDS = 0.5


class Recorder:
    """Collects outcomes and saves them: a lone one at once, many together. Keeps them while Postgres is away."""

    def __init__(self, runtime: Runtime[Any], on_change: Callable[[], None]) -> None:
        self._runtime = runtime
        self._on_change = on_change
        self._results: list[Result] = []
        self._returned: list[Claimed] = []
        self._has_work = asyncio.Event()
        self._is_stopping = False

    @property
    def backlog(self) -> int:
        """Return how many outcomes are not saved yet."""
        return len(self._results) + len(self._returned)

    def add(self, result: Result) -> None:
        """Save *result* soon."""
        self._results.append(result)
        self._has_work.set()

    def give_back(self, claimed: Sequence[Claimed]) -> None:
        """Make callbacks that were not sent due again."""
        if claimed:
            self._returned.extend(claimed)
            self._has_work.set()

    def stop(self) -> None:
        """Let `run` return once everything is saved."""
        self._is_stopping = True
        self._has_work.set()

    async def run(self) -> None:
        """Save until `stop`."""
        while not (self._is_stopping and self.backlog == 0):
            await self._has_work.wait()
            self._has_work.clear()
            try:
                saved = await self.run_once()
            except Exception as error:
                if not is_dependency_failure(error):
                    raise
                log.warning("callback_outcomes_wait", outcomes=self.backlog, error=type(error).__name__)
                self._has_work.set()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if saved > 1 and not self._is_stopping:
                await asyncio.sleep(PACE)

    async def run_once(self) -> int:
        """Save what there is; return how much it was. Errors: the database's, and then nothing is forgotten."""
        results, returned = self._results[:], self._returned[:]
        if not results and not returned:
            return 0
        now = self._runtime.clock.now()
        delivered = [result for result in results if result.state == "delivered" and result.claimed.received_at]
        several = [result.claimed.callback_id for result in delivered if result.claimed.copies > 1]
        known: set[str] = set()
        async with self._runtime.work_with(DeliveryStore) as work:
            if returned:
                await work.repo.release(returned)
            if several:
                known = await work.repo.find_acknowledged(several)
            if results:
                for endpoint_id in await work.repo.save_results(results, now):
                    log.error("endpoint_gone", endpoint_id=endpoint_id)
                    after = {"state": "disabled", "reason": "gone"}
                    work.audit(actor="routing", action="endpoint.disabled", subject=endpoint_id, after=after)
        del self._results[: len(results)], self._returned[: len(returned)]
        _observe_speed([result for result in delivered if result.claimed.callback_id not in known])
        if returned or any(result.state == "pending" for result in results):
            self._on_change()
        return len(results) + len(returned)


def _observe_speed(delivered: Sequence[Result]) -> None:
    """Measure receipt to acknowledgement, once per assignment."""
    seen: set[object] = set()
    for result in delivered:
        item = result.claimed
        if item.received_at is None or (item.copies > 1 and item.body in seen):
            continue
        seen.add(item.body)
        seconds = (result.started_at + result.duration - item.received_at).total_seconds()
        SPEED_TO_LEAD.labels("acknowledged").observe(max(0.0, seconds))
