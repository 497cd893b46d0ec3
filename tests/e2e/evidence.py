"""What is really there: tables by SQL, topics record by record, the CRM's file. Nothing is asked of the services."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from .checker.facts import Emitted, Evidence, Handled, Refused, Row, Seen
from .checker.handling import find_unhandled
from .installation import Installation

__all__ = ["Evidence", "Row", "Seen", "collect", "execute", "read_topics", "rows", "settle", "until"]

TOPICS = (
    "leads.captured", "leads.enriched", "leads.scored", "leads.consented", "leads.routed", "leads.activity",
    "leads.sla", "consent.changed", "leads.parking",
)  # fmt: skip
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 20.0
# What is asked again and again until nothing moves any more.
MOVING = {
    "counters": "SELECT counter, sum(n)::int AS n FROM ingest.ledger_delta GROUP BY counter HAVING sum(n) <> 0",
    "records": "SELECT record_id::text, lead_id::text, nature, state, submission_id::text FROM ingest.record"
    " ORDER BY record_id",
    "assignments": "SELECT assignment_id::text, lead_id::text, rep_id, ended_at, end_reason, via, decision_id::text"
    " FROM routing.assignment ORDER BY assignment_id",
    "sent": "SELECT callback_id::text, lead_id::text, event_type, state FROM routing.callback ORDER BY callback_id",
    "clocks": "SELECT clock_id, lead_id::text, stage, state, closed_at, met_at,"
    " due_at < now() - interval '1 minute' AS is_overdue FROM sla_monitor.clock",
}
# What is read once, then.
KEPT = {
    "submissions": "SELECT submission_id::text, source_kind, encode(sha256(body), 'hex') AS digest,"
    " record_ids::text[] AS record_ids FROM ingest.submission",
    "scores": "SELECT lead_id::text, decision_id::text, trigger, scored_at, model_version, points, raw, fit,"
    " engagement, grade, is_mql, profile FROM scoring.score_decision ORDER BY decision_id",
    "activities": "SELECT lead_id::text, activity_id, kind, occurred_at, known_at, detail FROM scoring.activity",
    "statements": "SELECT lead_id::text, record_id, state, purposes, channels, happened_at, known_at, method,"
    " notice_version, is_double_opt_in FROM consent.consent_event",
    "verdicts": "SELECT lead_id::text, decision_id::text, decided_at, table_version, decision"
    " FROM consent.consent_decision ORDER BY decision_id",
    "suppressed": "SELECT lead_id::text, channels, added_at FROM consent.suppression"
    " JOIN consent.lead_address USING (address_hash)",
    "routings": "SELECT decision_id::text, lead_id::text, outcome, trace FROM routing.decision ORDER BY decision_id",
    "bodies": "SELECT callback_id::text, encode(sha256(body), 'hex') AS digest FROM routing.callback",
    "documents": "SELECT kind, version::text, body FROM scoring.document"
    " UNION ALL SELECT kind, version::text, body FROM consent.document",
}
SCHEMAS = ("ingest", "scoring", "consent", "routing", "sla_monitor")


async def until(what: str, missing: Callable[[], Awaitable[Sequence[str]]], seconds: float = 90.0) -> None:
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
    return await _collect(installation, is_complete=True)


async def settle(installation: Installation, unfinished: Callable[[Evidence], Sequence[str]]) -> Evidence:
    """Return everything once nothing is *unfinished* any more and no consumer has anything left to do.

    A consumer that still has is waited for, not insisted on: that is for the verdict to say.
    """

    async def missing() -> Sequence[str]:
        return unfinished(await _collect(installation, is_complete=False))

    await until("the pipeline settles", missing)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while True:
        evidence = await collect(installation)
        evidence.events = await read_topics(installation)
        if not find_unhandled(evidence) or loop.time() > deadline:
            return evidence
        await asyncio.sleep(POLL_SECONDS)


async def _collect(installation: Installation, *, is_complete: bool) -> Evidence:
    connection = await asyncpg.connect(installation.database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            evidence = await _read_moving(connection)
            if is_complete:
                await _read_kept(connection, evidence)
                await _read_runtime(connection, evidence, installation.prefix)
    finally:
        await connection.close()
    evidence.received = await asyncio.to_thread(installation.read_callbacks)
    return evidence


async def _read_moving(connection: Any) -> Evidence:
    tables = {name: await _fetch(connection, query) for name, query in MOVING.items()}
    return Evidence(
        records=tables["records"],
        counters={row["counter"]: row["n"] for row in tables["counters"]},
        assignments=tables["assignments"],
        sent=tables["sent"],
        clocks=tables["clocks"],
        received=[],
    )


async def _read_kept(connection: Any, evidence: Evidence) -> None:
    tables = {name: await _fetch(connection, query) for name, query in KEPT.items()}
    evidence.documents = {(row["kind"], row["version"]): row["body"] for row in tables.pop("documents")}
    digests = {row["callback_id"]: row["digest"] for row in tables.pop("bodies")}
    for row in evidence.sent:
        row["digest"] = digests[row["callback_id"]]
    for row in tables["scores"]:
        # By position: origin, touch, lead, facts, opt-out. The origin's second value is the record.
        row["record_id"] = msgspec.msgpack.decode(row["profile"])[0][1] if row["profile"] else ""
    for row in tables["activities"]:
        row["detail"] = json.loads(row["detail"] or b"{}")
    for row in tables["verdicts"]:
        row.update(msgspec.msgpack.decode(row.pop("decision")))
    for row in tables["routings"]:
        row["trace"] = json.loads(row["trace"])
    for name, found in tables.items():
        setattr(evidence, name, found)


async def _read_runtime(connection: Any, evidence: Evidence, prefix: str) -> None:
    for schema in SCHEMAS:
        async for row in connection.cursor(
            f"SELECT consumer, event_id::text, processed_at, emitted FROM {schema}.inbox",  # noqa: S608 - ours
            prefetch=2_000,
        ):
            emitted = tuple(_emitted(one, prefix) for one in msgspec.msgpack.decode(row["emitted"] or b"\x90"))
            evidence.handled.append(Handled(row["consumer"], row["event_id"], row["processed_at"], emitted))
        for row in await _fetch(connection, f"SELECT consumer, key, event_id::text FROM {schema}.parked"):  # noqa: S608
            evidence.parked.append((row["consumer"], row["key"], row["event_id"]))
        for row in await _fetch(
            connection,
            f'SELECT consumer, topic, partition, "offset" FROM {schema}.dead_letter',  # noqa: S608 - ours
        ):
            topic = row["topic"].removeprefix(prefix)
            evidence.undecodable.append(Refused(row["consumer"], topic, row["partition"], row["offset"]))
        [waiting] = await _fetch(connection, f"SELECT count(*) AS n FROM {schema}.outbox")  # noqa: S608 - ours
        evidence.unpublished[schema] = waiting["n"]


def _emitted(packed: Sequence[Any], prefix: str) -> Emitted:
    event_id, event_type, topic, key, _, payload = packed[:6]
    return Emitted(topic.removeprefix(prefix), key, event_id, event_type, sha256(payload).hexdigest())


async def _fetch(connection: Any, query: str) -> list[Any]:
    return [dict(row) for row in await connection.fetch(query)]
