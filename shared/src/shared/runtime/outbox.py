"""The outbox: events that no Kafka record caused, published by their writer; leftovers of the dead by a leader."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import msgspec
import structlog

from shared import failpoints
from shared.clock import Clock
from shared.db import Database, Record, Sql
from shared.ids import instant_of
from shared.kafka import EventPublisher, Outgoing, PublishFailed
from shared.runtime import metrics
from shared.runtime.failures import is_dependency_failure
from shared.runtime.work import MAX_EVENT_BYTES
from shared.waiting import until_set

log = structlog.get_logger(module=__name__)

OWNER_LOCK_CLASS = 0x4C52  # first half of the advisory lock that says "this owner lives"; the second is the owner
LEADER_LOCK_CLASS = 0x4C53
MEMORY_LIMIT = 20_000  # about 25 MB of events; beyond that they wait in the table, where they already are
MEMORY_BYTES = 32 << 20  # of payloads: the largest event is a thousand times the usual one
PUBLISH_MOST = 1_000
PUBLISH_BYTES = 8 << 20
COUNT_MOST = 100_000
RELAY_EVERY_SECONDS = 1.0
RELAY_SELDOM_SECONDS = 10.0  # at the most, however long the search takes
# A process says once in a while that it lives. One that is frozen does not: PostgreSQL ends its session, and its locks
# with it. Longer than a search, a publish that fails and a rest, which take 35 s.
SILENCE_SECONDS = 45
SWEEP_EVERY_SECONDS = 5.0
FORGET_EVERY_SECONDS = 0.25

_DECODER = msgspec.msgpack.Decoder(Outgoing)
_DELETE = "DELETE FROM outbox WHERE id = ANY($1::uuid[])"
# Of the next rows as many as fill $3 bytes, and at least one.
_UP_TO_BYTES = """
    SELECT id::text, event FROM (
        SELECT id, event, sum(octet_length(event)) OVER (ORDER BY id) - octet_length(event) AS before FROM next
    ) AS counted
    WHERE before < $3 ORDER BY counted.id
"""
_OWN_LEFTOVERS = f"""
    WITH next AS (SELECT id, event FROM outbox WHERE owner = $1 ORDER BY id LIMIT $2)
    {_UP_TO_BYTES}
"""  # noqa: S608 - no input
_DEAD_LEFTOVERS = f"""
    WITH next AS (
        SELECT id, event FROM outbox
        WHERE NOT EXISTS (
            SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND classid = $1 AND objid = outbox.owner::oid AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        )
        ORDER BY id LIMIT $2
    )
    {_UP_TO_BYTES}
"""  # noqa: S608 - no input


def new_owner() -> int:
    """Return a number for this process's life; positive 31 bits."""
    return random.SystemRandom().randrange(1, 2**31)


class OutboxPublisher:
    """Publishes this process's own outbox rows in the order of their commits."""

    def __init__(self, database: Database, publisher: EventPublisher, owner: int) -> None:
        self._database = database
        self._publisher = publisher
        self._owner = owner
        self._queue: deque[Outgoing] = deque()
        self._bytes = 0
        self._is_overflowed = False
        self._wake = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self._swept_at = 0.0
        self._done: list[str] = []
        self._forgot_at = 0.0

    @property
    def is_overflowed(self) -> bool:
        """Return whether events wait in the table only, because there was no room for them in memory."""
        return self._is_overflowed

    def add(self, events: Sequence[Outgoing]) -> None:
        """Take over events whose transaction has committed. Never blocks and never fails: the rows are in the table."""
        if not events:
            return
        size = sum(len(event.payload) for event in events)
        too_many = len(self._queue) + len(events) > MEMORY_LIMIT or self._bytes + size > MEMORY_BYTES
        if self._is_overflowed or too_many:
            self._is_overflowed = True
        else:
            self._queue.extend(events)
            self._bytes += size
        self._wake.set()

    async def run(self) -> None:
        """Publish until `drain`, then what is left for as long as the broker takes it."""
        while not self._stopping or self._queue:
            if not self._queue and not self._is_overflowed:
                await until_set(self._wake, 1.0)
                self._wake.clear()
                self._sweep_now_and_then()
            if not await self._step(FORGET_EVERY_SECONDS) and self._stopping:
                return  # leftovers stay in the table: the leader of the living publishes them
        await self._step(0)

    async def drain(self) -> None:
        """Publish what is queued and let `run` return."""
        self._stopping = True
        self._wake.set()

    async def run_once(self) -> bool:
        """Publish one batch and delete its rows; return whether nothing went wrong."""
        return await self._step(0)

    async def _step(self, forget_every: float) -> bool:
        try:
            if self._queue:
                batch = self._next_batch()
                await self._publish(batch)
                for event in batch:
                    self._queue.popleft()
                    self._bytes -= len(event.payload)
            elif self._is_overflowed:
                await self._publish_own()
            if time.monotonic() - self._forgot_at >= forget_every:
                await self._forget()
        except Exception as error:
            if not (is_dependency_failure(error) or isinstance(error, PublishFailed)):
                raise
            self._failures += 1
            if self._failures % 20 == 1:
                log.warning("outbox_waits", error=type(error).__name__, attempts=self._failures)
            await asyncio.sleep(min(5.0, 0.05 * 2 ** min(self._failures, 7)))
            return False
        self._failures = 0
        return True

    def _next_batch(self) -> list[Outgoing]:
        batch: list[Outgoing] = []
        size = 0
        for event in islice(self._queue, PUBLISH_MOST):
            size += len(event.payload)
            if batch and size > PUBLISH_BYTES:
                break
            batch.append(event)
        return batch

    async def _publish(self, batch: Sequence[Outgoing]) -> None:
        if batch:
            failpoints.reach("outbox_before_publish")
            await self._publisher.publish(batch)
            self._done += [event.id for event in batch]

    async def _forget(self) -> None:
        """Delete what was published, some batches at a time: a commit per batch would be one more flush of the log.

        Only after the acknowledgement: earlier, a crash between the two loses the event. Later, it leaves a twin.
        """
        self._forgot_at = time.monotonic()
        done = list(self._done)
        if done:
            async with self._database.connection() as sql:
                await sql.execute(_DELETE, done)
            del self._done[: len(done)]

    async def _publish_own(self) -> None:
        # Lowered before the query: what commits meanwhile goes to memory again. Twins are harmless, a gap is not.
        self._is_overflowed = False
        is_all = False
        try:
            await self._forget()
            rows = await self._load_own()
            await self._publish([_DECODER.decode(row["event"]) for row in rows])
            await self._forget()
            is_all = len(rows) < PUBLISH_MOST and sum(len(row["event"]) for row in rows) < PUBLISH_BYTES
        finally:
            if not is_all:
                # Older events still wait in the table. What came to memory meanwhile is there too: it must not
                # overtake them.
                self._is_overflowed = True
                self._queue.clear()
                self._bytes = 0

    async def _load_own(self) -> list[Record]:
        async with self._database.connection() as sql:
            return await sql.fetch(_OWN_LEFTOVERS, self._owner, PUBLISH_MOST, PUBLISH_BYTES)

    def _sweep_now_and_then(self) -> None:
        """Look for own rows that memory never heard of: a request cancelled while its COMMIT returned."""
        now = time.monotonic()
        if now - self._swept_at > SWEEP_EVERY_SECONDS:
            self._swept_at = now
            self._is_overflowed = True


class OutboxRelay:
    """Publishes the outbox rows of processes that are gone or frozen. One leader at a time, by a session lock."""

    def __init__(self, database: Database, publisher: EventPublisher, owner: int, clock: Clock) -> None:
        self._database = database
        self._publisher = publisher
        self._owner = owner
        self._clock = clock
        self._anchor: Any = None
        # How long the search takes: it reads all that waits, and after a day without Kafka that is millions of rows.
        self._search_seconds = 0.0
        self._depth = 0
        self._bytes = 0
        self._is_leader = False
        self._stopping = asyncio.Event()

    async def open(self) -> None:
        """Take the lock that says this owner lives. Must hold before the first outbox row is written."""
        anchor = await self._database.dedicated()
        try:
            await anchor.execute(f"SET idle_session_timeout = '{SILENCE_SECONDS}s'")
            await anchor.execute("SELECT pg_advisory_lock($1, $2)", OWNER_LOCK_CLASS, self._owner)
        except BaseException:
            anchor.terminate()  # kept, it would look like a held lock
            raise
        self._anchor = anchor

    async def close(self) -> None:
        """Give the locks up."""
        if self._anchor is not None:
            self._anchor.terminate()
            self._anchor = None

    async def run(self) -> None:
        """Look for leftovers every second until `drain`."""
        while not self._stopping.is_set():
            try:
                if await self.run_once():
                    continue
            except Exception as error:
                if not (is_dependency_failure(error) or isinstance(error, PublishFailed)):
                    raise
            rest = min(max(RELAY_EVERY_SECONDS, 10 * self._search_seconds), RELAY_SELDOM_SECONDS)
            await until_set(self._stopping, rest)

    async def drain(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def run_once(self) -> int:
        """Publish the leftovers of dead processes; return how many."""
        await self._keep_anchor()
        started = time.monotonic()
        async with self._database.connection() as sql:
            await self._observe(sql)
            rows = await self._find_leftovers(sql) if self._is_leader else []
        self._search_seconds = time.monotonic() - started
        if rows:
            await self._publish(rows)
        return len(rows)

    def is_above(self, limit: int) -> bool:
        """Tell whether the outbox had more than *limit* bytes on disk at the last look, about a second ago.

        The file of a table shrinks late: rows that could not fill *limit* are no backlog, however large it is.
        """
        return self._bytes > limit and self._depth * MAX_EVENT_BYTES > limit

    async def _find_leftovers(self, sql: Sql) -> list[Record]:
        return await sql.fetch(_DEAD_LEFTOVERS, OWNER_LOCK_CLASS, PUBLISH_MOST, PUBLISH_BYTES)

    async def _publish(self, rows: Sequence[Record]) -> None:
        failpoints.reach("outbox_before_publish")
        await self._publisher.publish([_DECODER.decode(row["event"]) for row in rows])
        async with self._database.connection() as sql:
            await sql.execute(_DELETE, [row["id"] for row in rows])
        metrics.OUTBOX_RELAYED.inc(len(rows))
        log.warning("outbox_relayed", events=len(rows))

    async def _keep_anchor(self) -> None:
        if self._anchor is None or self._anchor.is_closed():
            self._is_leader = False
            await self.open()
        try:
            # Asked every time: a connection that a firewall forgot looks open, and its locks are gone.
            self._is_leader = await self._anchor.fetchval(
                "SELECT $2 OR pg_try_advisory_lock($1, hashtext(current_schema()))", LEADER_LOCK_CLASS, self._is_leader
            )
        except BaseException:
            await self.close()
            raise

    async def _observe(self, sql: Sql) -> None:
        row = await sql.fetchrow(
            "SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS counted) AS depth,"
            " (SELECT id::text FROM outbox ORDER BY id LIMIT 1) AS oldest, pg_table_size('outbox') AS bytes",
            COUNT_MOST,
        )
        assert row is not None
        self._depth, self._bytes = row["depth"], row["bytes"]
        metrics.OUTBOX_DEPTH.set(self._depth)
        metrics.OUTBOX_BYTES.set(self._bytes)
        age = (self._clock.now() - instant_of(row["oldest"])) if row["oldest"] else timedelta(0)
        metrics.OUTBOX_OLDEST.set(max(0.0, age.total_seconds()))
