"""Consumer groups as an operator handles them: where they stand, and back to the start."""

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from .evidence import Seen
from .installation import Installation

GROUPS = {
    "ingest-enrich": ("leads.captured",),
    "ingest-ledger": ("leads.consented", "leads.routed", "leads.parking"),
    "scoring": ("leads.enriched", "leads.activity"),
    "consent": ("leads.scored", "leads.activity"),
    "routing": ("leads.consented", "leads.sla", "consent.changed"),
    "sla-monitor": ("leads.captured", "leads.routed", "leads.consented", "leads.activity"),
}
PARTITIONS = 3


async def rewind(installation: Installation) -> None:
    """Move every group to the first record of every topic it reads. No member may be alive."""
    for group, topics in GROUPS.items():
        consumer = AIOKafkaConsumer(
            bootstrap_servers=installation.kafka, group_id=installation.prefix + group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            partitions = _partitions(installation, topics)
            consumer.assign(partitions)
            await consumer.commit({partition: OffsetAndMetadata(0, "") for partition in partitions})
        finally:
            await consumer.stop()


async def find_lag(installation: Installation) -> list[str]:
    """Return each group, partition and number of records that it has not handled yet."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.kafka)
    await admin.start()
    await consumer.start()
    try:
        ends = await consumer.end_offsets(_partitions(installation, sorted({t for of in GROUPS.values() for t in of})))
        lag = []
        for group, topics in GROUPS.items():
            at = await admin.list_consumer_group_offsets(installation.prefix + group)
            for partition in _partitions(installation, topics):
                behind = ends[partition] - max(0, at[partition].offset if partition in at else 0)
                if behind:
                    lag.append(f"{group} is {behind} records behind on {partition.topic}/{partition.partition}")
        return lag
    finally:
        await consumer.stop()
        await admin.close()


async def publish_again(installation: Installation, events: Sequence[Seen]) -> None:
    """Append *events* to their topics and partitions again, to the byte, in the order given."""
    async with AIOKafkaProducer(bootstrap_servers=installation.kafka) as producer:
        for event in events:
            await producer.send(
                installation.prefix + event.topic,
                event.raw,
                event.key.encode(),
                partition=event.partition,
                headers=list(event.headers),
            )


def _partitions(installation: Installation, topics: Sequence[str]) -> list[TopicPartition]:
    return [TopicPartition(installation.prefix + topic, number) for topic in topics for number in range(PARTITIONS)]
