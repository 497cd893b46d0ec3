"""What a service does now and then beside the pipeline, which goes on if it fails."""

import asyncio
from abc import ABC, abstractmethod

import structlog

from shared.waiting import until_set

log = structlog.get_logger(module=__name__)


class PeriodicDuty(ABC):
    """Does something once at the start and then every *every_seconds*. *failure*: the event to log when it fails.

    For what the next time makes up for: leads do not wait for it, and a failure ends neither it nor the service.
    """

    def __init__(self, every_seconds: float, failure: str) -> None:
        self._every_seconds = every_seconds
        self._failure = failure
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Repeat until `drain`."""
        while not self._stopping.is_set():
            try:
                await self.run_once()
            except Exception as error:  # noqa: BLE001 - the database may be away; the next time may succeed
                log.warning(self._failure, error=type(error).__name__)
            await until_set(self._stopping, self._every_seconds)

    async def drain(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    @abstractmethod
    async def run_once(self) -> object:
        """Do it once."""
