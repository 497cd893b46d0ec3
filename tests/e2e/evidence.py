"""What is really there: tables by SQL, topics record by record, the CRM's file. Nothing is asked of the services."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from .installation import Installation

TOPICS = (
    "leads.captured", "leads.enriched", "leads.scored", "leads.consented", "leads.routed", "leads.activity",
    "leads.sla", "consent.changed", "leads.parking",
)  # fmt: skip
POLL_SECONDS = 0.1
TABLES = {
    "counters": "SELECT counter, sum(n)::int AS n FROM ingest.ledger_delta GROUP BY counter HAVING sum(n) <> 0",
    "records": "SELECT record_id::text, lead_id::text, nature, state FROM ingest.record ORDER BY record_id",
    "assignments": "SELECT assignment_id::text, lead_id::text, rep_id, ended_at FROM routing.assignment",
    "sent": "SELECT callback_id::text, lead_id::text, event_type, state FROM routing.callback",
    "clocks": "SELECT clock_id, lead_id::text, stage, state, closed_at FROM sla_monitor.clock",
}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """One record of a topic."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    type: str
    raw: bytes
    headers: tuple[tuple[str, bytes], ...]

    @cached_property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw)
        return body


@dataclass(slots=True)
class Evidence:
    """Everything that a verdict looks at."""

    records: list[Row]
    counters: dict[str, int]
    assignments: list[Row]
    sent: list[Row]
    clocks: list[Row]
    received: list[dict[str, Any]]
    events: list[Seen] = field(default_factory=list)


async def until(what: str, missing: Callable[[], Awaitable[Sequence[str]]], seconds: float = 45.0) -> None:
    """Return once nothing is *missing*; fail with what still is after *seconds*."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while left := await missing():
        if loop.time() > deadline:
            pytest.fail(f"{what}: after {seconds:.0f} s this is missing: {'; '.join(left[:8])} ({len(left)} in all)")
        await asyncio.sleep(POLL_SECONDS)


async def rows(installation: Installation, query: str, *args: Any) -> list[Row]:
    """Return what the superuser reads."""
    connection = await asyncpg.connect(installation.database_url)
    try:
        return [dict(row) for row in await connection.fetch(query, *args)]
    finally:
        await connection.close()


async def execute(installation: Installation, statement: str) -> None:
    """Change something as the superuser: a test plants a failure."""
    connection = await asyncpg.connect(installation.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def read_topics(installation: Installation, topics: Sequence[str] = TOPICS) -> list[Seen]:
    """Return every record of *topics* from the first to the last, in order of partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = []
        for topic in topics:
            name = installation.prefix + topic
            await consumer._client.set_topics([name])
            partitions += [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        seen = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            fetched = await consumer.getmany(timeout_ms=500, max_records=5_000)
            seen += [
                _seen(record, installation.prefix)
                for records in fetched.values()
                for record in records
                if record.offset < ends[TopicPartition(record.topic, record.partition)]
            ]
    finally:
        await consumer.stop()
    return sorted(seen, key=lambda one: (one.topic, one.partition, one.offset))


def _seen(record: Any, prefix: str) -> Seen:
    headers = dict(record.headers)
    return Seen(
        topic=record.topic.removeprefix(prefix),
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode("utf-8", "replace"),
        id=headers.get("ce_id", b"").decode("utf-8", "replace"),
        type=headers.get("ce_type", b"").decode("utf-8", "replace"),
        raw=record.value or b"",
        headers=tuple(record.headers),
    )


async def collect(installation: Installation) -> Evidence:
    """Return the present state of everything but the topics: those are read once, when nothing moves any more.

    The tables are read in one snapshot: counters of one instant and records of a later one differ, and mean nothing.
    """
    connection = await asyncpg.connect(installation.database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tables: dict[str, list[Row]] = {
                name: [dict(row) for row in await connection.fetch(query)] for name, query in TABLES.items()
            }
    finally:
        await connection.close()
    return Evidence(
        records=tables["records"],
        counters={row["counter"]: row["n"] for row in tables["counters"]},
        assignments=tables["assignments"],
        sent=tables["sent"],
        clocks=tables["clocks"],
        received=await asyncio.to_thread(installation.read_callbacks),
    )


async def settle(installation: Installation, unfinished: Callable[[Evidence], Sequence[str]]) -> Evidence:
    """Return everything once nothing is *unfinished* any more."""
    evidence = await collect(installation)

    async def missing() -> Sequence[str]:
        nonlocal evidence
        evidence = await collect(installation)
        return unfinished(evidence)

    await until("the pipeline settles", missing)
    evidence.events = await read_topics(installation)
    return evidence
