"""A queue in front of one transaction: requests that arrive together share its commit.

No request waits for a batch to fill: the first one starts a commit at once, and whatever arrives while that commit is
under way shares the next one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from shared.runtime.failures import is_dependency_failure

T = TypeVar("T")
U = TypeVar("U")

BATCH_BYTES = 8 << 20  # bodies in one statement; above it memory in both processes grows faster than the saving


class Overloaded(Exception):
    """More waits for a commit than may wait. ``limit``: requests, bytes or age."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class GroupCommit(Generic[T, U]):
    """Hands items to *commit* in batches; *commit* returns one result per item, in order, once they are durable."""

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Awaitable[Sequence[U]]],
        *,
        most_items: int,
        queue_items: int,
        queue_bytes: int,
        queue_seconds: float,
    ) -> None:
        self._commit = commit
        self._most_items = most_items
        self._queue_items = queue_items
        self._queue_bytes = queue_bytes
        self._queue_seconds = queue_seconds
        self._queue: deque[tuple[T, int, asyncio.Future[U], float]] = deque()
        self._bytes = 0
        self._flushing: asyncio.Task[None] | None = None

    async def submit(self, item: T, size: int) -> U:
        """Return *item*'s result once it is committed. Errors: `Overloaded`; whatever the commit raised."""
        self.check_room(size)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[U] = loop.create_future()
        self._queue.append((item, size, future, loop.time()))
        self._bytes += size
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="GroupCommit")
        return await future

    def check_room(self, size: int) -> None:
        """Return if *size* bytes more may wait. Errors: `Overloaded`.

        The age counts, because nobody knows how many a second can be committed: a queue in which everybody waits until
        just before the answer is due commits what is answered 503, and nothing else.
        """
        if len(self._queue) >= self._queue_items:
            raise Overloaded("requests")
        if self._bytes + size > self._queue_bytes:
            raise Overloaded("bytes")
        if self._queue and asyncio.get_running_loop().time() - self._queue[0][3] > self._queue_seconds:
            raise Overloaded("age")

    async def _flush(self) -> None:
        try:
            while self._queue:
                await self._commit_batch(self._take())
        finally:
            self._flushing = None

    def _take(self) -> list[tuple[T, asyncio.Future[U]]]:
        batch: list[tuple[T, asyncio.Future[U]]] = []
        size = 0
        while self._queue and len(batch) < self._most_items and (not batch or size + self._queue[0][1] <= BATCH_BYTES):
            item, item_size, future, _ = self._queue.popleft()
            size += item_size
            self._bytes -= item_size
            if not future.done():  # its request was given up: nobody was promised anything
                batch.append((item, future))
        return batch

    async def _commit_batch(self, batch: list[tuple[T, asyncio.Future[U]]]) -> None:
        if not batch:
            return
        try:
            results = await self._commit([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - belongs to the requests that wait
            if len(batch) > 1 and not is_dependency_failure(error):
                for single in batch:  # one of them is the cause; the others must not pay for it
                    await self._commit_batch([single])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
