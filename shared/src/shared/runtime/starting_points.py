"""Asks the broker and the database where the partitions of one consumer are to be begun."""

import asyncio
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.db import Database
from shared.runtime import metrics
from shared.runtime.positions import (
    Log,
    Place,
    Position,
    Refused,
    Start,
    choose_start,
    first_position,
    move_positions,
    open_positions,
)
from shared.topic_ids import find_topic_ids

log = structlog.get_logger(module=__name__)

Standing = Mapping[TopicPartition, tuple[Log, int | None]]
"""Of each partition: what the broker has of it, and the offset that the group has committed."""


class TopicsChanged(Exception):
    """A topic is gone, or another one has its name: leave the group, and join it anew when all are there."""

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__(", ".join(topics))
        self.topics = topics


class StartingPoints:
    """The kept positions of one consumer. Topics in them go by the registry's names, without the prefix."""

    def __init__(self, consumer: str, topic_prefix: str, database: Database) -> None:
        self._consumer = consumer
        self._prefix = topic_prefix
        self._database = database
        self._topic_ids: dict[str, uuid.UUID] = {}
        metrics.EVENTS_LOST.labels(consumer)  # shows zero

    async def find_missing(self, kafka: AIOKafkaConsumer, topics: Sequence[str]) -> list[str]:
        """Return the names among *topics* that no topic has, and remember the others by their ids from now on."""
        self._topic_ids = await _ids_of(kafka, topics)
        return sorted(set(topics) - set(self._topic_ids))

    async def check_topics(self, kafka: AIOKafkaConsumer) -> None:
        """Make sure that the topics are those that were found. Errors: `TopicsChanged`; those of the broker."""
        found = await _ids_of(kafka, self._topic_ids)
        if changed := [topic for topic, topic_id in self._topic_ids.items() if found.get(topic) != topic_id]:
            raise TopicsChanged(sorted(changed))

    async def ask_broker(self, kafka: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> Standing:
        """Return the standing of *partitions*. Errors: `TopicsChanged`; those of the broker."""
        await self.check_topics(kafka)
        beginnings, ends, *committed = await asyncio.gather(
            kafka.beginning_offsets(partitions),
            kafka.end_offsets(partitions),
            *(kafka.committed(partition) for partition in partitions),
        )
        return {
            partition: (Log(self._topic_ids[partition.topic], beginnings[partition], ends[partition]), offset)
            for partition, offset in zip(partitions, committed, strict=True)
        }

    async def choose(self, standing: Standing) -> dict[TopicPartition, Start | Refused]:
        """Return where to begin each partition. Errors: those of the database."""
        firsts = {self._place(one): first_position(log, committed) for one, (log, committed) in standing.items()}
        async with self._database.transaction() as sql:
            kept = await open_positions(sql, self._consumer, firsts)
        return {one: choose_start(kept[self._place(one)], committed, log) for one, (log, committed) in standing.items()}

    async def keep(self, reached: Mapping[TopicPartition, int]) -> None:
        """Keep the offsets up to which everything is handled. Errors: those of the database."""
        positions = {self._place(one): Position(self._topic_ids[one.topic], at) for one, at in reached.items()}
        async with self._database.connection() as sql:
            await move_positions(sql, self._consumer, positions)

    def tell_losses(self, starts: Mapping[TopicPartition, Start]) -> None:
        """Say loudly which records Kafka deleted before this consumer had handled them: nobody else will notice."""
        for partition, start in starts.items():
            if start.lost:
                metrics.EVENTS_LOST.labels(self._consumer).inc(start.lost)
                log.error(
                    "events_lost",
                    consumer=self._consumer,
                    topic=partition.topic,
                    partition=partition.partition,
                    records=start.lost,
                    goes_on_at=start.offset,
                )

    def _place(self, partition: TopicPartition) -> Place:
        return Place(partition.topic.removeprefix(self._prefix), partition.partition)


async def _ids_of(kafka: AIOKafkaConsumer, topics: Iterable[str]) -> dict[str, uuid.UUID]:
    return await find_topic_ids(kafka._client, topics)  # noqa: SLF001 - aiokafka has no question for this
