"""What became of each record, read from the topics after a run: nothing is added to the load while it lasts."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.contracts import (
    LeadAssigned,
    LeadCaptured,
    LeadNurtured,
    LeadRetained,
    LeadUnassigned,
    LeadWithheld,
)

WATCHED = (LeadCaptured.topic, LeadWithheld.topic, LeadAssigned.topic)
KIND_OF_TYPE = {
    LeadAssigned.type: "assigned",
    LeadRetained.type: "retained",
    LeadUnassigned.type: "unassigned",
    LeadNurtured.type: "nurtured",
    LeadWithheld.type: "withheld",
}


class Decision(msgspec.Struct, frozen=True):
    """The end of a record's way, and when the producer took it in (epoch seconds, to the millisecond)."""

    kind: str
    at: float
    lead_id: str


class Decided(msgspec.Struct, frozen=True):
    """``lead_of``: the lead of each captured record. ``decisions``: the first one about each record. ``assigned``: the
    lead of each assignment; an activity may assign a lead whose record was decided otherwise before."""

    lead_of: dict[str, str]
    decisions: dict[str, Decision]
    assigned: dict[str, str]

    def undecided(self, record_ids: Iterable[str]) -> list[str]:
        """Return the records without an end: no decision of their own, and none about a newer record of their lead."""
        newest: dict[str, str] = {}
        for record_id, decision in self.decisions.items():
            newest[decision.lead_id] = max(record_id, newest.get(decision.lead_id, ""))
        return [
            record_id
            for record_id in record_ids
            if record_id not in self.decisions and newest.get(self.lead_of.get(record_id, ""), "") < record_id
        ]


class _Origin(msgspec.Struct):
    record_id: str


class _Owner(msgspec.Struct):
    assignment_id: str


class _Event(msgspec.Struct):
    lead_id: str
    origin: _Origin
    owner: _Owner | None = None


_DECODER = msgspec.json.Decoder(_Event)


def collect(records: Iterable[ConsumerRecord]) -> Decided:
    """Return what *records* say, in their order."""
    decided = Decided({}, {}, {})
    for record in records:
        event_type = dict(record.headers)["ce_type"].decode()
        kind = KIND_OF_TYPE.get(event_type)
        if kind is None and event_type != LeadCaptured.type:
            continue
        event = _DECODER.decode(record.value)
        if kind is None:
            decided.lead_of[event.origin.record_id] = event.lead_id
        else:
            decision = Decision(kind, record.timestamp / 1000, event.lead_id)
            decided.decisions.setdefault(event.origin.record_id, decision)
            if kind == "assigned" and event.owner is not None:
                decided.assigned[event.owner.assignment_id] = event.lead_id
    return decided


async def end_offsets(bootstrap_servers: str, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Return the offset after the last record of each partition of *topics*."""
    async with looking_at(bootstrap_servers, topics) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(list(consumer.assignment()))
    return ends


async def read_since(bootstrap_servers: str, since: Mapping[TopicPartition, int]) -> list[ConsumerRecord]:
    """Return every record of the partitions of *since* from there to their present end."""
    records: list[ConsumerRecord] = []
    async with looking_at(bootstrap_servers, {partition.topic for partition in since}) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(list(since))
        left = {partition for partition, end in ends.items() if end > since[partition]}
        for partition in left:
            consumer.seek(partition, since[partition])
        consumer.resume(*left)
        while left:
            for partition, batch in (await consumer.getmany(timeout_ms=1_000)).items():
                records.extend(record for record in batch if record.offset < ends[partition])
                if batch[-1].offset + 1 >= ends[partition]:
                    left.discard(partition)
                    consumer.pause(partition)
    return records


@asynccontextmanager
async def looking_at(bootstrap_servers: str, topics: Iterable[str]) -> AsyncIterator[AIOKafkaConsumer]:
    """Yield a consumer of all partitions of *topics* that belongs to no group and fetches nothing until resumed."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.pause(*consumer.assignment())
        yield consumer
    finally:
        await consumer.stop()
