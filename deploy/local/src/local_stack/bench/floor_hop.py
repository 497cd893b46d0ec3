"""One hop of the floor, a process of its own: consume a poll, one UNNEST insert that commits, produce it on.

The least that a durable step on this Kafka and this PostgreSQL costs in Python: no inbox, no decision, no JSON.
Consumer, producer and pace are set as the services have them. Reads a `Hop` (one line of JSON) on stdin, says
``ready``, works until SIGTERM.
"""

import asyncio
import signal
import sys
import uuid
import zlib
from collections.abc import Sequence

import asyncpg
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

MAX_BATCH_BYTES = 1_000_000


class Hop(msgspec.Struct, frozen=True):
    """Where one hop reads, keeps and writes. ``table`` is qualified by its schema."""

    bootstrap_servers: str
    database_url: str
    source: str
    target: str
    table: str
    partitions: int
    most: int = 500
    pace: float = 0.002


async def run_hop(hop: Hop, stop: asyncio.Event) -> None:
    """Work until *stop*."""
    connection = await asyncpg.connect(hop.database_url)
    consumer = AIOKafkaConsumer(
        hop.source,
        bootstrap_servers=hop.bootstrap_servers,
        group_id=hop.table,
        enable_auto_commit=True,  # a hop may lose a lead in a crash; nobody crashes it, and the floor is what is least
        auto_commit_interval_ms=250,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * 1024 * 1024,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=hop.bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        max_batch_size=MAX_BATCH_BYTES,
    )
    await consumer.start()
    await producer.start()
    print("ready", flush=True)
    insert = f"INSERT INTO {hop.table} (id, body) SELECT * FROM unnest($1::uuid[], $2::bytea[]) ON CONFLICT DO NOTHING"  # noqa: S608 - ours
    while not stop.is_set():
        fetched = await consumer.getmany(timeout_ms=200, max_records=hop.most)
        records = [record for batch in fetched.values() for record in batch]
        if records:
            await connection.execute(insert, [_id_of(one) for one in records], [one.value for one in records])
            await publish(producer, hop.target, hop.partitions, records)
            await asyncio.sleep(hop.pace)
    await consumer.stop()
    await producer.stop()
    await connection.close()


async def publish(producer: AIOKafkaProducer, topic: str, partitions: int, records: Sequence[ConsumerRecord]) -> None:
    """Send *records* on, a batch per partition; return when all are acknowledged."""
    groups: dict[int, list[ConsumerRecord]] = {}
    for record in records:
        groups.setdefault(zlib.crc32(record.key) % partitions, []).append(record)
    sent = []
    for partition, group in groups.items():
        batch = producer.create_batch()
        for record in group:
            row = {"timestamp": None, "key": record.key, "value": record.value, "headers": list(record.headers)}
            if batch.append(**row) is None:
                sent.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(**row)
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


def _id_of(record: ConsumerRecord) -> uuid.UUID:
    return uuid.UUID(bytes=dict(record.headers)["id"])


async def _main(hop: Hop) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_hop(hop, stop)


if __name__ == "__main__":
    uvloop.run(_main(msgspec.json.decode(sys.stdin.readline(), type=Hop)))
