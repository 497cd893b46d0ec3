"""Senders behind a load balancer that follows `/readyz` of every replica."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count

import httpx

from local_stack.load.senders import KINDS
from local_stack.load.setup import submissions_path

from .installation import Installation
from .traffic import AT_ONCE, Traffic

PROBE_SECONDS = 0.1
PROBE_PATIENCE_SECONDS = 2.0


class BalancedTraffic(Traffic):
    """Traffic spread over the replicas of ingest that say that they are ready.

    ``taken``: deliveries by replica. ``repeated`` counts the answers that were no 2xx, and the connections that broke.
    """

    def __init__(self, installation: Installation) -> None:
        super().__init__(installation)
        self._ready: list[str] = []
        self._turn = count()
        self.taken: Counter[str] = Counter()

    def url(self, kind: str) -> str:
        assert self._ready, "no replica of ingest is ready"
        replica = self._ready[next(self._turn) % len(self._ready)]
        self.taken[replica] += 1
        return replica + submissions_path(kind)

    @contextlib.asynccontextmanager
    async def balanced(self, *replicas: str) -> AsyncIterator[None]:
        """Follow *replicas* (URLs) until the block ends; begin once one of them is ready."""
        is_one_ready = asyncio.Event()
        following = asyncio.create_task(self._follow(replicas, is_one_ready))
        try:
            await is_one_ready.wait()
            yield
        finally:
            following.cancel()
            await asyncio.wait({following})

    async def pour_until(self, stop: asyncio.Event, per_second: float, population: str) -> None:
        """Post people at a steady pace, over connections that are kept alive, until *stop*."""
        loop = asyncio.get_running_loop()
        start, gate = loop.time(), asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client, asyncio.TaskGroup() as group:
            for number in count():
                await asyncio.sleep(start + number / per_second - loop.time())
                await gate.acquire()
                if stop.is_set():
                    return
                task = group.create_task(self.post(client, KINDS[number % len(KINDS)], self.person(population)))
                task.add_done_callback(lambda _: gate.release())

    async def _follow(self, replicas: tuple[str, ...], is_one_ready: asyncio.Event) -> None:
        async with httpx.AsyncClient(timeout=PROBE_PATIENCE_SECONDS, trust_env=False) as client:
            while True:
                answers = await asyncio.gather(*(_is_ready(client, url) for url in replicas))
                self._ready = [url for url, is_ready in zip(replicas, answers, strict=True) if is_ready]
                if self._ready:
                    is_one_ready.set()
                await asyncio.sleep(PROBE_SECONDS)


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).is_success
    except httpx.TransportError:
        return False
