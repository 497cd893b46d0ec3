"""After the database was restored to an earlier instant: learn again, from Kafka, what it has forgotten.

The topics are ahead of a restored database: they hold announcements that it knows nothing of, and receivers have acted
on them. A service that decided anew would contradict itself. So each service reads its own announcements first
(``Service.recovery``), before it is started and its consumers are rewound.
"""

import argparse
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kafka import client_options
from shared.runtime.envelope import Arrived, Decoder
from shared.runtime.processing import in_key_order
from shared.runtime.service import Runtime, Service
from shared.runtime.work import Received

R = TypeVar("R")
log = structlog.get_logger(module=__name__)

BATCH = 500
POLL_MS = 500


class StillRunning(Exception):
    """A process of the service is connected: it would decide while we learn."""


def read_arguments(service: str, arguments: Sequence[str]) -> datetime | None:
    """Return since when to recover, None for a plain start. Errors: `SystemExit` with the usage."""
    parser = argparse.ArgumentParser(prog=service, description=f"Run {service}, or recover it after a restore.")
    commands = parser.add_subparsers(dest="command", metavar="recover")
    recovering = commands.add_parser("recover", help="learn again from Kafka what a restored database has forgotten")
    recovering.add_argument(
        "--since",
        required=True,
        type=_instant,
        metavar="TIME",
        help="RFC 3339 instant: ten minutes before the one that the database was restored to",
    )
    given = parser.parse_args(arguments)
    since: datetime | None = given.since if given.command == "recover" else None
    return since


async def recover(service: Service[R], since: datetime) -> Counter[str]:
    """Have the recovery handlers of *service* see every event on their topics from *since* to the present end.

    Returns how many events of each type were seen; a service without such handlers has nothing to learn. May run again:
    the handlers leave alone what is known. Errors: `StillRunning`; those of a server that is away: some batches may be
    committed then.
    """
    runtime = Runtime(service)
    seen: Counter[str] = Counter()
    try:
        await _refuse_beside_a_running_service(runtime)
        await runtime.upkeep.open()
        decoder = Decoder(service.recovery)
        async for records in _records_since(service, since):
            decoded = [decoder.decode(record) for record in records]
            batch: list[Received[Any]] = [item.received for item in decoded if isinstance(item, Arrived)]
            seen.update(received.event.type for received in batch)
            if not batch:
                continue
            async with runtime.work() as work:
                for handler, group in in_key_order(batch, service.recovery):
                    await handler(work, group)
    finally:
        await runtime.close()
    log.info("service_recovered", since=since.isoformat(), events=seen.total())
    return seen


async def _refuse_beside_a_running_service(runtime: Runtime[Any]) -> None:
    connection = await runtime.database.dedicated()
    try:
        others = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = current_setting('application_name')"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    if others:
        message = f"{runtime.name} still runs ({others} connections): stop it first"
        raise StillRunning(message)


async def _records_since(service: Service[Any], since: datetime) -> AsyncIterator[list[ConsumerRecord]]:
    """Yield what the topics of the recovery handlers hold, in the order of each partition, in batches."""
    settings = service.settings
    topics = sorted({settings.kafka_topic_prefix + event.topic for event in service.recovery})
    if not topics:
        return
    kafka = AIOKafkaConsumer(enable_auto_commit=False, isolation_level="read_uncommitted", **client_options(settings))
    await kafka.start()
    try:
        partitions = []
        for topic in topics:
            await kafka._client.set_topics([topic])  # noqa: SLF001 - without a group nothing else asks for metadata
            partitions += [TopicPartition(topic, number) for number in sorted(kafka.partitions_for_topic(topic) or ())]
        ends = await kafka.end_offsets(partitions)
        millisecond = int((since - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
        found = await kafka.offsets_for_times(dict.fromkeys(partitions, millisecond))
        at = {one: offset.offset if (offset := found[one]) is not None else ends[one] for one in partitions}
        kafka.assign(partitions)
        for partition, offset in at.items():
            kafka.seek(partition, offset)
        while any(at[partition] < ends[partition] for partition in partitions):
            fetched = await kafka.getmany(timeout_ms=POLL_MS, max_records=BATCH)
            at |= {partition: records[-1].offset + 1 for partition, records in fetched.items()}
            yield [record for records in fetched.values() for record in records]
    finally:
        await kafka.stop()


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        message = "an instant needs its zone, such as 2026-11-24T12:00:00Z"
        raise argparse.ArgumentTypeError(message)
    return instant
