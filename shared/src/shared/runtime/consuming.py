"""The loop of one consumer group: poll, commit in Postgres, publish, move the offset. In that order, always."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from shared.db import Database
from shared.kafka import EventPublisher, Outgoing, PublishFailed, make_consumer
from shared.runtime import metrics
from shared.runtime.envelope import DeadLetter, Decoder
from shared.runtime.failures import is_dependency_failure, retry_delay
from shared.runtime.processing import BatchProcessor, Outcome
from shared.runtime.work import Consumer
from shared.settings import ServiceSettings

R = TypeVar("R")
log = structlog.get_logger(module=__name__)

IDLE_POLL_MS = 500
LONGEST_PACE_SECONDS = 0.03  # five hops at most add 150 ms under load, and nothing when idle
# The inbox makes redelivery harmless, so offsets need not be committed per batch: at 100 leads/s that would be the
# most frequent request the broker gets. A crash redelivers at most this much.
COMMIT_EVERY_SECONDS = 0.25


class ConsumerLoop(Generic[R]):
    """Runs one consumer group in this process until told to drain."""

    def __init__(
        self,
        consumer: Consumer[R],
        *,
        settings: ServiceSettings,
        database: Database,
        processor: BatchProcessor[R],
        publisher: EventPublisher,
        on_outbox: Callable[[list[Outgoing]], None],
    ) -> None:
        self._spec = consumer
        self._settings = settings
        self._database = database
        self._processor = processor
        self._publisher = publisher
        self._on_outbox = on_outbox
        self._decoder = Decoder(consumer.handlers, consumer.wanted)
        self._kafka: AIOKafkaConsumer | None = None
        self._busy = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._positions: dict[TopicPartition, int] = {}
        self._committed_at = 0.0
        self._paused_for: str | None = "starting"

    @property
    def paused_for(self) -> str | None:
        """Return why the consumer does not consume, or None if it does."""
        return self._paused_for

    async def run(self) -> None:
        """Consume until `drain`. A broker that is away is waited for."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                await self._consume()
            except (KafkaError, OSError) as error:
                attempt += 1
                await self._wait(error, attempt, "kafka_away")
            finally:
                await self._close()

    async def drain(self) -> None:
        """Stop fetching; `run` returns after the batch in hand is committed, published and its offset moved."""
        self._stopping.set()

    async def wait(self, delay: timedelta) -> None:
        """Sleep for *delay*, or until the drain begins."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay.total_seconds())

    async def _consume(self) -> None:
        self._kafka = kafka = make_consumer(self._settings, self._spec.name)
        await kafka.start()
        prefix = self._settings.kafka_topic_prefix
        kafka.subscribe([prefix + topic for topic in self._spec.topics], listener=_Rebalance(self))
        self._resume()
        while not self._stopping.is_set():
            fetched = await kafka.getmany(timeout_ms=IDLE_POLL_MS, max_records=self._settings.batch_size)
            if not fetched:
                await self._commit_offsets()
                self._observe_lag(None)
                continue
            started = time.monotonic()
            async with self._busy:
                await self._handle([record for records in fetched.values() for record in records])
                for partition, records in fetched.items():
                    self._positions[partition] = records[-1].offset + 1
            if time.monotonic() - self._committed_at > COMMIT_EVERY_SECONDS:
                await self._commit_offsets()
            await self._pace(sum(map(len, fetched.values())), time.monotonic() - started)
        await self._commit_offsets()

    async def _pace(self, events: int, seconds: float) -> None:
        """Rest twice as long as the batch took, so that the next one is larger: large batches cost a fraction per event.

        One event alone is followed at once (latency when idle), and so is a full batch (there is a backlog).
        """
        if 1 < events < self._settings.batch_size:
            await asyncio.sleep(min(max(2 * seconds, self._settings.poll_pace_ms / 1000), LONGEST_PACE_SECONDS))

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        started = time.monotonic()
        items, letters = [], []
        for record in records:
            decoded = self._decoder.decode(record)
            if isinstance(decoded, DeadLetter):
                letters.append(decoded)
            elif decoded is not None:
                items.append(decoded)
        if not items and not letters:
            return
        self._observe_lag(records)
        outcome = await self._until_done(lambda: self._processor.process(items, letters))
        self._on_outbox(outcome.from_outbox)
        # Publish before the offset moves: a crash here redelivers the batch and the inbox publishes it again.
        # The other way round the events of a crashed process would never be published.
        await self._until_done(lambda: self._publish(outcome))
        metrics.BATCH_SIZE.labels(self._spec.name).observe(len(items))
        metrics.BATCH_SECONDS.labels(self._spec.name).observe(time.monotonic() - started)
        log.debug("batch_done", consumer=self._spec.name, events=len(items), published=len(outcome.caused))

    async def _publish(self, outcome: Outcome) -> None:
        await self._publisher.publish(outcome.caused)

    async def _until_done(self, action: Callable[[], Awaitable[Any]]) -> Any:
        attempt = 0
        while True:
            try:
                result = await action()
            except Exception as error:
                if not (is_dependency_failure(error) or isinstance(error, PublishFailed)):
                    raise
                if self._stopping.is_set():
                    raise Drained from error
                attempt += 1
                await self._wait(error, attempt, type(error).__name__)
            else:
                self._resume()
                return result

    async def _wait(self, error: Exception, attempt: int, reason: str) -> None:
        delay = retry_delay(error, attempt)
        if self._paused_for is None or attempt % 20 == 1:
            log.warning(
                "consumer_paused", consumer=self._spec.name, reason=reason, attempt=attempt, detail=str(error)[:200]
            )
        self._paused_for = reason
        metrics.CONSUMER_PAUSED.labels(self._spec.name).set(1)
        await self.wait(delay)

    def _resume(self) -> None:
        if self._paused_for is not None:
            self._paused_for = None
            metrics.CONSUMER_PAUSED.labels(self._spec.name).set(0)

    async def _commit_offsets(self) -> None:
        self._committed_at = time.monotonic()
        if self._kafka is None or not self._positions:
            return
        positions, self._positions = self._positions, {}
        try:
            await self._kafka.commit({tp: OffsetAndMetadata(offset, "") for tp, offset in positions.items()})
        except KafkaError as error:
            # A lost commit costs a redelivery and nothing else.
            log.info("offset_commit_failed", consumer=self._spec.name, error=type(error).__name__)

    def _observe_lag(self, records: Sequence[ConsumerRecord] | None) -> None:
        if records is None:
            metrics.LAG_SECONDS.labels(self._spec.name).set(0)
        else:
            oldest = min(record.timestamp for record in records) / 1000
            metrics.LAG_SECONDS.labels(self._spec.name).set(max(0.0, time.time() - oldest))  # noqa: TID251 - against the broker's clock
        kafka = self._kafka
        if kafka is None:
            return
        behind = 0
        for partition in kafka.assignment():
            end = kafka.highwater(partition)
            if end is not None and partition in self._positions:
                behind += max(0, end - self._positions[partition])
        metrics.LAG_EVENTS.labels(self._spec.name).set(behind)

    async def _close(self) -> None:
        kafka, self._kafka = self._kafka, None
        self._positions.clear()
        if kafka is not None:
            with contextlib.suppress(KafkaError, OSError):
                await kafka.stop()

    async def before_revoke(self) -> None:
        """Finish the batch in hand and commit its offsets, so that the next owner starts after it."""
        async with self._busy:
            await self._commit_offsets()

    async def after_assign(self) -> None:
        """Learn which of the leads in the new partitions are parked before reading the first event of them."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                async with self._database.connection() as sql:
                    await self._processor.parked.reload(sql)
            except Exception as error:
                if not is_dependency_failure(error):
                    raise
                attempt += 1
                await self._wait(error, attempt, type(error).__name__)
            else:
                self._resume()
                return


class Drained(Exception):
    """The shutdown came while a dependency was away: the batch stays unconfirmed and is redelivered."""


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, loop: ConsumerLoop[Any]) -> None:
        self._loop = loop

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        if revoked:
            await self._loop.before_revoke()

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        if assigned:
            await self._loop.after_assign()
