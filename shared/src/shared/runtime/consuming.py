"""The loop of one consumer group: poll, commit in Postgres, publish, move the offset. In that order, always."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata

from shared import failpoints
from shared.db import Database
from shared.kafka import EventPublisher, Outgoing, PublishFailed, make_consumer
from shared.runtime import metrics
from shared.runtime.envelope import DeadLetter, Decoder
from shared.runtime.failures import is_dependency_failure, retry_delay
from shared.runtime.positions import Refused, Start
from shared.runtime.processing import BatchProcessor, Outcome
from shared.runtime.starting_points import StartingPoints, TopicsChanged
from shared.runtime.work import Consumer
from shared.settings import ServiceSettings
from shared.waiting import until_set

R = TypeVar("R")
log = structlog.get_logger(module=__name__)

IDLE_POLL_MS = 500
REFUSED_POLL_MS = 1_000  # how often a consumer that was refused looks whether somebody has accepted
FULL_PACE_EVENTS = 32  # at 100 leads/s a batch holds one to three events: resting then only adds up over five hops
LONGEST_PACE_SECONDS = 0.06  # five hops at most add 300 ms under load, and nothing when idle
# The inbox makes redelivery harmless, so offsets need not be committed per batch: at 100 leads/s that would be the
# most frequent request the broker gets. A crash redelivers at most this much.
COMMIT_EVERY_SECONDS = 1.0
# aiokafka retries without end and polls an absent broker in silence: what it is asked to do is bounded here, and an
# idle consumer asks now and then whether the broker is there at all.
COMMIT_SECONDS = 5.0
CLOSE_SECONDS = 5.0
CHECK_EVERY_SECONDS = 5.0


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
        self._positions: dict[TopicPartition, int] = {}  # handled, and not committed yet
        self._next: dict[TopicPartition, int] = {}  # the first offset of each partition that is not handled yet
        self._oldest: float | None = None  # when the oldest record in hand was written
        self._is_parked_known = False
        self._starts = StartingPoints(consumer.name, settings.kafka_topic_prefix, database)
        self._is_placed = True  # every assigned partition was begun where it belongs
        self._refused: dict[TopicPartition, Refused] = {}
        self._committed_at = 0.0
        self._checked_at = 0.0
        self._paused_for: str | None = "starting"

    @property
    def paused_for(self) -> str | None:
        """Return why the consumer does not consume, or None if it does."""
        return self._paused_for

    async def run(self) -> None:
        """Consume until `drain`. A broker that is away is waited for."""
        # Computed when asked: a gauge that is set would show the last good value while the consumer is stuck.
        metrics.LAG_SECONDS.labels(self._spec.name).set_function(self._lag_seconds)
        attempt = 0
        while not self._stopping.is_set():
            try:
                await self._consume()
            except Drained:
                return
            except TopicsChanged as change:
                log.warning("topics_changed", consumer=self._spec.name, topics=change.topics)
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
        await until_set(self._stopping, delay.total_seconds())

    async def _consume(self) -> None:
        self._kafka = kafka = make_consumer(self._settings, self._spec.name, rest=self._spec.rest)
        await kafka.start()
        topics = [self._settings.kafka_topic_prefix + topic for topic in self._spec.topics]
        await self._until_created(kafka, topics)
        if self._stopping.is_set():
            return
        self._paused_for = "joining"
        kafka.subscribe(topics, listener=_Rebalance(self))
        while not self._stopping.is_set():
            if not self._is_placed and not await self._place(kafka):
                await self._poll(kafka, REFUSED_POLL_MS)  # what it returns is thrown away: it is only to stay a member
                continue
            fetched = await self._poll(kafka, IDLE_POLL_MS)
            if not self._is_placed:
                continue  # fetched from where the partitions were, or before we know whether they may be read
            if not fetched:
                await self._commit_offsets()
                self._observe_lag()
                await self._check_broker(kafka)
                continue
            started = time.monotonic()
            async with self._busy:
                await self._learn_parked()
                self._next |= {partition: records[0].offset for partition, records in fetched.items()}
                await self._handle([record for records in fetched.values() for record in records])
                handled = {partition: records[-1].offset + 1 for partition, records in fetched.items()}
                self._positions |= handled
                self._next |= handled
            if time.monotonic() - self._committed_at > COMMIT_EVERY_SECONDS:
                await self._commit_offsets()
            await self._check_broker(kafka)
            await self._pace(sum(map(len, fetched.values())), time.monotonic() - started)
        await self._commit_offsets()

    async def _poll(self, kafka: AIOKafkaConsumer, timeout_ms: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return what is there, or nothing if a partition has no place to read from: it is to be placed anew."""
        try:
            fetched: dict[TopicPartition, list[ConsumerRecord]] = await kafka.getmany(
                timeout_ms=timeout_ms, max_records=self._settings.batch_size
            )
        except (NoOffsetForPartitionError, OffsetOutOfRangeError):
            await self._commit_offsets()  # what was handled until now is not lost, whatever the partition looks like
            self._is_placed = False
            return {}
        return fetched

    async def _place(self, kafka: AIOKafkaConsumer) -> bool:
        """Begin every assigned partition where it belongs; return False, and pause, if one of them must not be."""
        self._is_placed = True  # before the questions: partitions assigned meanwhile ask for another placing
        partitions = sorted(kafka.assignment())
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                standing = await self._starts.ask_broker(kafka, partitions)
        except (KafkaError, TimeoutError) as error:
            # Not worth leaving the group for: that would stop the other members, too.
            self._is_placed = False
            self._say_away(error)
            await self.wait(timedelta(seconds=1))
            return False
        chosen = await self._until_done(lambda: self._starts.choose(standing))
        self._is_placed = self._is_placed and partitions == sorted(kafka.assignment())
        if not self._is_placed:
            return False
        refused = {one: start for one, start in chosen.items() if isinstance(start, Refused)}
        if refused:
            self._refuse(kafka, refused, {one: log.beginning for one, (log, _) in standing.items()})
            return False
        self._begin(kafka, chosen)
        return True

    def _begin(self, kafka: AIOKafkaConsumer, starts: dict[TopicPartition, Start]) -> None:
        for partition, start in starts.items():
            kafka.seek(partition, start.offset)
            self._next[partition] = start.offset
        self._starts.tell_losses(starts)
        self._positions = {one: start.offset for one, start in starts.items() if start.lost}  # told once
        kafka.resume(*kafka.paused())
        if self._refused:
            log.warning("consumer_accepted_topics", consumer=self._spec.name)
            self._refused = {}

    def _refuse(
        self,
        kafka: AIOKafkaConsumer,
        refused: dict[TopicPartition, Refused],
        beginnings: dict[TopicPartition, int],
    ) -> None:
        for partition, beginning in beginnings.items():
            kafka.seek(partition, beginning)  # read by nobody: a partition without a place would fail every poll
        kafka.pause(*beginnings)
        self._is_placed = False
        self._pause("topic_recreated")
        if refused != self._refused:
            log.error(
                "topic_recreated",
                consumer=self._spec.name,
                partitions=[f"{one.topic}/{one.partition} {refusal.detail}" for one, refusal in refused.items()],
                remedy="leadrail consumers accept TOPIC",
            )
        self._refused = refused

    async def _pace(self, events: int, seconds: float) -> None:
        """Rest up to three times as long as the batch took, so that the next one is larger: that costs less per event.

        A few events are followed at once (latency when idle), and so is a full batch (there is a backlog).
        """
        if events >= self._settings.batch_size:
            return
        rest = min(3 * seconds, LONGEST_PACE_SECONDS) * min(1.0, events / FULL_PACE_EVENTS)
        rest = max(rest, self._spec.rest.total_seconds())
        if rest > self._settings.poll_pace_ms / 1000:
            await asyncio.sleep(rest)

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
        self._oldest = min(record.timestamp for record in records) / 1000
        self._observe_lag()
        outcome = await self._until_done(lambda: self._processor.process(items, letters))
        self._on_outbox(outcome.from_outbox)
        # Publish before the offset moves: a crash here redelivers the batch and the inbox publishes it again.
        # The other way round the events of a crashed process would never be published.
        await self._until_done(lambda: self._publish(outcome))
        failpoints.reach("batch_published")
        self._oldest = None
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
        self._pause(reason)
        await self.wait(delay)

    def _pause(self, reason: str) -> None:
        self._paused_for = reason
        metrics.CONSUMER_PAUSED.labels(self._spec.name).set(1)

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
            async with asyncio.timeout(COMMIT_SECONDS):
                # Kafka first: it refuses a process whose partitions have moved, which then keeps no position either.
                await self._kafka.commit({tp: OffsetAndMetadata(offset, "") for tp, offset in positions.items()})
                await self._starts.keep(positions)
        except Exception as error:
            if not (isinstance(error, KafkaError) or is_dependency_failure(error)):
                raise
            log.info("offset_commit_failed", consumer=self._spec.name, error=type(error).__name__)
            if not isinstance(error, CommitFailedError):  # with it, the partitions are no longer ours
                # Tried again even if no record comes: a group that is done and looks behind looks like a stuck one.
                self._positions = positions | self._positions

    async def _until_created(self, kafka: AIOKafkaConsumer, topics: Sequence[str]) -> None:
        """Wait for the topics: a group that joins without them would notice them minutes later."""
        while (missing := await self._starts.find_missing(kafka, topics)) and not self._stopping.is_set():
            if self._paused_for != "topics_missing":
                log.warning("topics_missing", consumer=self._spec.name, topics=missing)
            self._pause("topics_missing")
            await self.wait(timedelta(seconds=1))

    async def _check_broker(self, kafka: AIOKafkaConsumer) -> None:
        """An empty poll is what an absent broker gives, too, and a topic may be another one by now: ask."""
        if self._paused_for == "joining" or time.monotonic() - self._checked_at < CHECK_EVERY_SECONDS:
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._starts.check_topics(kafka)
                await kafka.end_offsets(kafka.assignment())
        except (KafkaError, TimeoutError) as error:
            self._say_away(error)
        else:
            self._checked_at = time.monotonic()
            self._resume()

    def _say_away(self, error: Exception) -> None:
        if self._paused_for != "kafka_away":
            log.warning("consumer_paused", consumer=self._spec.name, reason="kafka_away", detail=str(error)[:200])
        self._pause("kafka_away")

    def _lag_seconds(self) -> float:
        return 0.0 if self._oldest is None else max(0.0, time.time() - self._oldest)  # noqa: TID251 - against the broker's clock

    def _observe_lag(self) -> None:
        kafka = self._kafka
        if kafka is None:
            return
        behind = 0
        for partition in kafka.assignment():
            end = kafka.highwater(partition)
            if end is not None and partition in self._next:
                behind += max(0, end - self._next[partition])
        metrics.LAG_EVENTS.labels(self._spec.name).set(behind)

    async def _close(self) -> None:
        kafka, self._kafka = self._kafka, None
        self._positions.clear()
        self._next.clear()
        self._is_placed = True
        self._oldest = None
        if kafka is not None:
            # Bounded only at the end of the process: a member half closed would keep its partitions from the next one.
            with contextlib.suppress(KafkaError, OSError):
                async with asyncio.timeout(CLOSE_SECONDS if self._stopping.is_set() else None):
                    await kafka.stop()

    async def before_revoke(self) -> None:
        """Finish the batch in hand and commit its offsets, so that the next owner starts after it."""
        async with self._busy:
            await self._commit_offsets()

    def after_assign(self) -> None:
        """Forget how far the partitions are handled and which leads are parked: others have owned them meanwhile.

        Asks nothing here. While this runs no heartbeat is sent, and records arrive already.
        """
        self._is_parked_known = False
        self._is_placed = False
        self._next.clear()
        self._positions.clear()

    async def _learn_parked(self) -> None:
        """Know the parked leads before the first event of the new partitions is handled."""
        if not self._is_parked_known:
            self._is_parked_known = True  # before the query: partitions assigned meanwhile ask for another one
            await self._until_done(self._reload_parked)

    async def _reload_parked(self) -> None:
        async with self._database.connection() as sql:
            await self._processor.parked.reload(sql)


class Drained(Exception):
    """The shutdown came while a dependency was away: the batch stays unconfirmed and is redelivered."""


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, loop: ConsumerLoop[Any]) -> None:
        self._loop = loop

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        if revoked:
            failpoints.reach("rebalance")
            await self._loop.before_revoke()

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:  # noqa: ARG002 - aiokafka's name
        self._loop.after_assign()
