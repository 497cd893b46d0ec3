"""Kafka clients with the settings that lose nothing.

aiokafka's defaults lose data: offsets committed by a timer before the work is done, new groups starting at the end,
no idempotence. Every client of this project is made here.
"""

import asyncio
import ssl
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

from shared.settings import ServiceSettings

log = structlog.get_logger(module=__name__)

MAX_BATCH_BYTES = 900_000  # below the broker's default message.max.bytes of 1 MiB
# aiokafka's idempotent producer retries without end: unbounded, an outage would look like work in progress.
PUBLISH_SECONDS = 20.0
CLOSE_SECONDS = 2.0


class PublishFailed(Exception):
    """The broker did not acknowledge. Nothing is known about the events: publish them again."""


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """One event as it goes on the wire. Kept like this in inbox and outbox, so that a twin is byte-identical."""

    id: str
    type: str
    topic: str
    key: str
    time: str
    payload: bytes
    traceparent: str = ""

    def headers(self, source: bytes) -> list[tuple[str, bytes]]:
        """Return the CloudEvents 1.0 binary-mode headers."""
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.id.encode()),
            ("ce_type", self.type.encode()),
            ("ce_source", source),
            ("ce_time", self.time.encode()),
            ("content-type", b"application/json"),
        ]
        if self.traceparent:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of *key*: CRC-32 modulo the count (librdkafka's ``consistent`` partitioner)."""
    return zlib.crc32(key.encode()) % partitions


def client_options(settings: ServiceSettings) -> dict[str, Any]:
    """Return the connection options every client shares."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context()
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = password.get_secret_value() if password else None
    return options


def make_consumer(settings: ServiceSettings, group: str, *, rest: timedelta = timedelta(0)) -> AIOKafkaConsumer:
    """Return a consumer that commits only when told to, and reads only from where it was told to.

    With *rest* the broker answers at most that often, instead of at every record: it is a third of its work at 100
    leads/s.
    """
    seldom = {"fetch_min_bytes": 64 * 1024, "fetch_max_wait_ms": int(rest / timedelta(milliseconds=1))}
    return AIOKafkaConsumer(
        group_id=settings.kafka_topic_prefix + group,
        enable_auto_commit=False,
        auto_offset_reset="none",  # a deleted topic, or one cut short, would be started over in silence
        isolation_level="read_uncommitted",
        session_timeout_ms=6_000,  # a killed process gives its partitions up in 6 s; the broker allows no less
        heartbeat_interval_ms=1_500,
        # A leader that shares out partitions while the broker is still starting sees topics missing, and gives nobody
        # theirs. It corrects that when it looks again: after five minutes, if it were for aiokafka.
        metadata_max_age_ms=10_000,
        max_poll_interval_ms=600_000,  # a dependency may be away for minutes while we hold a batch
        **(seldom if rest else {"fetch_max_wait_ms": 500}),
        max_partition_fetch_bytes=2 * 1024 * 1024,
        fetch_max_bytes=16 * 1024 * 1024,  # of one answer: it lies in memory as a whole, however far behind we are
        **client_options(settings),
    )


class EventPublisher(Protocol):
    """Where committed events go."""

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Return once every event is acknowledged."""
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...


class Publisher:
    """Publishes batches: per topic and partition in the order given, acknowledged by all in-sync replicas."""

    def __init__(self, settings: ServiceSettings, source: str) -> None:
        self._settings = settings
        self._source = source.encode()
        self._prefix = settings.kafka_topic_prefix
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Return once every event is acknowledged. At least once, ordered per key. Errors: `PublishFailed`."""
        if not events:
            return
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                producer = await self._started()
                futures = []
                for (topic, partition), group in (await self._by_partition(producer, events)).items():
                    futures.extend(await self._send(producer, topic, partition, group))
                await asyncio.gather(*futures)
        except (KafkaError, OSError, AssertionError) as error:
            # A failed batch leaves a hole in the idempotent producer's sequence numbers: every later batch would be
            # refused. A new producer starts a new sequence; twins are dropped by the receivers' inbox.
            if producer is not None:
                await self._abandon(producer)
            raise PublishFailed(type(error).__name__) from error

    async def close(self) -> None:
        """Close the producer; the next publish opens a new one. What is not acknowledged yet fails."""
        if self._producer is not None:
            await self._abandon(self._producer)

    async def _abandon(self, producer: AIOKafkaProducer) -> None:
        """Cut *producer* off, and only it: another publish may have opened its successor already.

        Never a flush: with the broker away it does not end, and a producer left behind would deliver hours later.
        """
        if self._producer is producer:
            self._producer = None
        producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001 - aiokafka can only flush
        for step in (producer.client.close, producer.stop):
            closing = asyncio.create_task(step())
            await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
            if not closing.done():
                closing.cancel()
            elif not closing.cancelled():
                closing.exception()  # whatever it is: the producer is gone, and the events are published again

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=0,
                    request_timeout_ms=15_000,
                    max_batch_size=MAX_BATCH_BYTES,
                    **client_options(self._settings),
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _by_partition(
        self, producer: AIOKafkaProducer, events: Sequence[Outgoing]
    ) -> dict[tuple[str, int], list[Outgoing]]:
        counts: dict[str, int] = {}
        groups: dict[tuple[str, int], list[Outgoing]] = {}
        for event in events:
            topic = self._prefix + event.topic
            count = counts.get(topic)
            if count is None:
                count = counts[topic] = len(await producer.partitions_for(topic))
            groups.setdefault((topic, partition_of(event.key, count)), []).append(event)
        return groups

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, partition: int, events: Sequence[Outgoing]
    ) -> list[asyncio.Future[Any]]:
        futures = []
        batch = producer.create_batch()
        for event in events:
            row = {
                "timestamp": None,
                "key": event.key.encode(),
                "value": event.payload,
                "headers": event.headers(self._source),
            }
            if batch.append(**row) is None:
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(**row)
        futures.append(await producer.send_batch(batch, topic, partition=partition))
        return futures
