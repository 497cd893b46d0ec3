"""What is really there after the drill: tables by SQL, topics record by record, the CRM's file."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.contracts import TOPICS

ASSIGNED, REASSIGNED = "leadrail.lead.assigned.v1", "leadrail.lead.reassigned.v1"
WORK_LEFT = """
    SELECT (SELECT count(*) FROM ingest.record WHERE state = 'in_flight') AS "records in flight",
        (SELECT count(*) FROM routing.callback WHERE state = 'pending') AS "callbacks pending",
        (SELECT count(*) FROM ingest.outbox) + (SELECT count(*) FROM consent.outbox)
            + (SELECT count(*) FROM routing.outbox) + (SELECT count(*) FROM sla_monitor.outbox) AS "events in outboxes"
"""
RECORDS = "SELECT record_id::text, lead_id::text, nature, state FROM ingest.record"
COUNTERS = "SELECT counter, sum(n)::int AS n FROM ingest.ledger_delta GROUP BY counter HAVING sum(n) <> 0"
ASSIGNMENTS = (
    "SELECT assignment_id::text, lead_id::text, rep_id, ended_at IS NULL AS is_running FROM routing.assignment"
)
PARKED = " UNION ALL ".join(
    f"SELECT consumer, key FROM {schema}.parked"  # noqa: S608 - our own names
    for schema in ("ingest", "scoring", "consent", "routing", "sla_monitor")
)

Row = dict[str, Any]


class Told(NamedTuple):
    """A callback that the CRM took. ``assignment_id``: of the lead's new owner; None if it is about something else."""

    id: str
    digest: str
    type: str
    lead_id: str
    assignment_id: str | None
    rep_id: str | None


class Announced(NamedTuple):
    """An assignment as leads.routed announces it."""

    event_id: str
    lead_id: str
    assignment_id: str
    rep_id: str


@dataclass(slots=True)
class Evidence:
    """Everything that the judge looks at, read in one snapshot."""

    records: list[Row]
    counters: dict[str, int]
    assignments: list[Row]
    parked: list[Row]
    told: list[Told] = field(default_factory=list)
    announced: list[Announced] = field(default_factory=list)

    @property
    def running(self) -> dict[str, Row]:
        """Return the running assignment of each lead that has one."""
        return {row["lead_id"]: row for row in self.assignments if row["is_running"]}


async def read_evidence(database_url: str, bootstrap_servers: str, callbacks: Path) -> Evidence:
    """Return everything as it is now."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = {
                name: [dict(row) for row in await connection.fetch(query)]
                for name, query in (
                    ("records", RECORDS), ("counters", COUNTERS), ("assignments", ASSIGNMENTS), ("parked", PARKED),
                )
            }  # fmt: skip
    finally:
        await connection.close()
    return Evidence(
        records=rows["records"],
        counters={row["counter"]: row["n"] for row in rows["counters"]},
        assignments=rows["assignments"],
        parked=rows["parked"],
        told=await asyncio.to_thread(read_told, callbacks),
        announced=await read_announced(bootstrap_servers),
    )


def read_told(callbacks: Path) -> list[Told]:
    """Return every callback that the CRM has written down, in the order in which they came."""
    return [_told(json.loads(line)) for line in callbacks.read_text("utf-8").splitlines()]


async def read_announced(bootstrap_servers: str) -> list[Announced]:
    """Return every assignment on leads.routed, from the first record to the last."""
    kafka = AIOKafkaConsumer("leads.routed", bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await kafka.start()
    try:
        partitions = sorted(kafka.assignment())
        ends = await kafka.end_offsets(partitions)
        found = []
        while any([await kafka.position(one) < ends[one] for one in partitions]):
            for records in (await kafka.getmany(timeout_ms=200, max_records=5_000)).values():
                for record in records:
                    headers = dict(record.headers)
                    if headers["ce_type"].decode() in {ASSIGNED, REASSIGNED}:
                        body = json.loads(record.value)
                        owner = body["owner"]
                        found.append(
                            Announced(
                                headers["ce_id"].decode(), body["lead_id"], owner["assignment_id"], owner["rep_id"]
                            )
                        )
    finally:
        await kafka.stop()
    return found


async def find_work_left(database_url: str, bootstrap_servers: str) -> list[str]:
    """Return what still has to happen until nothing moves any more."""
    connection = await asyncpg.connect(database_url)
    try:
        row = await connection.fetchrow(WORK_LEFT)
    finally:
        await connection.close()
    assert row is not None
    return [f"{count} {what}" for what, count in row.items() if count] + await _find_lag(bootstrap_servers)


async def _find_lag(bootstrap_servers: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    kafka = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await kafka.start()
    try:
        read_by: dict[str, list[str]] = {}
        for topic in TOPICS:
            for group in topic.consumers:
                read_by.setdefault(group, []).append(topic.name)
        lag = []
        for group, topics in read_by.items():
            at = await admin.list_consumer_group_offsets(group)
            ends = await kafka.end_offsets(await partitions_of(kafka, topics))
            behind = sum(end - max(0, at[one].offset if one in at else 0) for one, end in ends.items())
            if behind:
                lag.append(f"{behind} events for {group}")
    finally:
        await kafka.stop()
        await admin.close()
    return lag


async def partitions_of(kafka: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    """Return the partitions of *topics*."""
    partitions = []
    for topic in topics:
        await kafka._client.set_topics([topic])  # noqa: SLF001 - without a group nothing else asks for metadata
        partitions += [TopicPartition(topic, number) for number in sorted(kafka.partitions_for_topic(topic) or ())]
    return partitions


def _told(row: Row) -> Told:
    body = row["body"]
    data = body["data"]
    is_new_owner = body["type"] in {"lead.assigned", "lead.reassigned"}
    return Told(
        id=row["id"],
        digest=row["digest"],
        type=body["type"],
        lead_id=data["lead_id"],
        assignment_id=data["assignment"]["assignment_id"] if is_new_owner else None,
        rep_id=data["owner"]["rep_id"] if is_new_owner else None,
    )
