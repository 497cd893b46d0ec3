"""What an operator does with consumer groups: look where they stand, rewind, accept a topic created anew."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, GroupIdNotFound, for_code
from aiokafka.structs import OffsetAndMetadata

from shared.clock import SystemClock
from shared.db import ConnectionSql, Sql, plain_url
from shared.kafka import client_options
from shared.provision import SERVICES, schema_of
from shared.runtime.effects import save_audits
from shared.runtime.positions import Log, Place, Position, Refused, choose_start
from shared.runtime.work import AuditRow
from shared.settings import ServiceSettings
from shared.topic_ids import find_topic_ids

_LIST = "SELECT consumer, topic, partition, topic_id, next_offset FROM consumer_position ORDER BY 1, 2, 3"
_FORGET = "DELETE FROM consumer_position WHERE consumer = $1 AND topic = $2"
_BEGIN_ANEW = """
    INSERT INTO consumer_position (consumer, topic, partition, topic_id, next_offset, updated_at)
    SELECT $1, $2, partition, $3, 0, now() FROM unnest($4::int[]) AS rows(partition)
"""


class ConsumerUnknown(LookupError):
    """No service has kept a position of this consumer: it never ran, or its schema is older than positions."""


class GroupInUse(Exception):
    """The group has members, who would go on from where they are and overwrite what is set now."""

    def __init__(self, consumer: str, members: int) -> None:
        super().__init__(
            f"{consumer} is running ({members} in its group): stop the service first."
            " A process that was killed counts for 6 seconds more."
        )


class NothingRefused(LookupError):
    """No consumer refuses this topic."""


class TopicMissing(LookupError):
    """The broker has no such topic."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One partition of one consumer. ``log`` is None if the broker has no such partition."""

    service: str
    consumer: str
    place: Place
    kept: Position
    committed: int | None
    log: Log | None

    @property
    def next_offset(self) -> int:
        """Return the first offset that is not handled yet."""
        return self.kept.next_offset if self.committed is None else min(self.kept.next_offset, self.committed)

    @property
    def refusal(self) -> str | None:
        """Return why the consumer does not go on here, or None if it does."""
        if self.log is None:
            return "does not exist"
        start = choose_start(self.kept, self.committed, self.log)
        return start.detail if isinstance(start, Refused) else None


@dataclass(frozen=True, slots=True)
class Move:
    """A partition's next offset before and after a rewind."""

    consumer: str
    place: Place
    before: int
    after: int


class ConsumerGroups:
    """The groups of one installation. *database_url* is of a role that may use every service's schema."""

    def __init__(self, settings: ServiceSettings, database_url: str, services: Sequence[str] = SERVICES) -> None:
        self._settings = settings
        self._url = plain_url(database_url)
        self._services = services
        self._prefix = settings.kafka_topic_prefix

    async def list_standings(self) -> list[Standing]:
        """Return where every consumer stands. Errors: those of the broker and of the database."""
        kept = [row for service in self._services for row in await self._kept_in(service)]
        places = {place for _, _, place, _ in kept}
        async with self._admin() as admin:
            committed = {name: await self._committed(admin, name) for name in {name for _, name, _, _ in kept}}
            logs = await self._logs(admin, {place.topic for place in places})
        return [
            Standing(service, name, place, position, committed[name].get(place), logs.get(place))
            for service, name, place, position in kept
        ]

    async def rewind(self, consumers: Sequence[str], to: datetime | None, *, why: str | None = None) -> list[Move]:
        """Have *consumers* begin at the first record at or after *to*, or with None at the oldest; never later.

        Nothing is moved unless all can be. Errors: `ConsumerUnknown`, `GroupInUse`, `TopicMissing`, the broker's.
        """
        standings = await self.list_standings()
        wanted = [one for one in standings if one.consumer in consumers]
        if unknown := sorted(set(consumers) - {one.consumer for one in wanted}):
            raise ConsumerUnknown(", ".join(unknown))
        if gone := sorted({one.place.topic for one in wanted if one.log is None}):
            raise TopicMissing(", ".join(gone))
        async with self._admin() as admin:
            for consumer in consumers:
                await self._expect_stopped(admin, consumer)
        moves = [move for consumer in consumers for move in await self._rewind(consumer, wanted, to)]
        services = {one.consumer: one.service for one in wanted}
        for consumer in consumers:
            of_it = [move for move in moves if move.consumer == consumer]
            before = {f"{move.place.topic}/{move.place.partition}": move.before for move in of_it}
            after = {f"{move.place.topic}/{move.place.partition}": move.after for move in of_it}
            async with self._schema(services[consumer]) as sql:
                await _audit(sql, "consumer.rewound", consumer, before, after, why)
        return moves

    async def accept(self, topic: str, *, why: str) -> list[str]:
        """Have every consumer that refuses *topic* read it from its beginning; return their names.

        They resume by themselves. Errors: `TopicMissing`, `NothingRefused`; those of the broker and of the database.
        """
        standings = [one for one in await self.list_standings() if one.place.topic == topic]
        refusing = sorted({(one.service, one.consumer) for one in standings if one.refusal})
        async with self._admin() as admin:
            logs = await self._logs(admin, {topic})
        if not logs:
            raise TopicMissing(topic)
        if not refusing:
            raise NothingRefused(topic)
        topic_id = next(iter(logs.values())).topic_id
        for service, consumer in refusing:
            before = {str(one.place.partition): one.kept.next_offset for one in standings if one.consumer == consumer}
            async with self._schema(service) as sql:
                await sql.execute(_FORGET, consumer, topic)
                await sql.execute(_BEGIN_ANEW, consumer, topic, topic_id, sorted(place.partition for place in logs))
                await _audit(sql, "consumer.topic_accepted", f"{consumer} {topic}", before, {"id": str(topic_id)}, why)
        return [consumer for _, consumer in refusing]

    async def _kept_in(self, service: str) -> list[tuple[str, str, Place, Position]]:
        async with self._schema(service) as sql:
            # A schema may live on another server, or wait for its migration.
            if await sql.fetchval("SELECT to_regclass($1)", f"{schema_of(service)}.consumer_position") is None:
                return []
            rows = await sql.fetch(_LIST)
        return [
            (
                service,
                row["consumer"],
                Place(row["topic"], row["partition"]),
                Position(row["topic_id"], row["next_offset"]),
            )
            for row in rows
        ]

    async def _committed(self, admin: AIOKafkaAdminClient, consumer: str) -> dict[Place, int]:
        offsets = await admin.list_consumer_group_offsets(self._prefix + consumer)
        return {self._place(one): at.offset for one, at in offsets.items() if at.offset >= 0}

    async def _logs(self, admin: AIOKafkaAdminClient, topics: Collection[str]) -> dict[Place, Log]:
        names = [self._prefix + topic for topic in topics]
        ids = await find_topic_ids(admin._client, names)  # noqa: SLF001 - aiokafka has no question for this
        if not ids:
            return {}
        described = await admin.describe_topics(list(ids))
        partitions = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]
        async with AIOKafkaConsumer(**client_options(self._settings)) as kafka:
            beginnings = await kafka.beginning_offsets(partitions)
            ends = await kafka.end_offsets(partitions)
        return {self._place(one): Log(ids[one.topic], beginnings[one], ends[one]) for one in partitions}

    async def _expect_stopped(self, admin: AIOKafkaAdminClient, consumer: str) -> None:
        [answer] = await admin.describe_consumer_groups([self._prefix + consumer])
        for code, _group, _state, _type, _protocol, members, *_ in answer.groups:
            if code and for_code(code) is not GroupIdNotFound:
                raise for_code(code)
            if members:
                raise GroupInUse(consumer, len(members))

    async def _rewind(self, consumer: str, standings: Iterable[Standing], to: datetime | None) -> list[Move]:
        here = {
            TopicPartition(self._prefix + one.place.topic, one.place.partition): one
            for one in standings
            if one.consumer == consumer
        }
        group = self._prefix + consumer
        async with AIOKafkaConsumer(
            group_id=group, enable_auto_commit=False, **client_options(self._settings)
        ) as kafka:
            kafka.assign(list(here))
            found = await _offsets_at(kafka, here, to)
            # Never later than it stands: records in between would be skipped.
            moves = {
                one: Move(consumer, at.place, at.next_offset, min(found[one], at.next_offset))
                for one, at in here.items()
            }
            try:
                await kafka.commit({one: OffsetAndMetadata(move.after, "") for one, move in moves.items()})
            except CommitFailedError as error:
                raise GroupInUse(consumer, 1) from error
        return list(moves.values())

    def _place(self, partition: TopicPartition) -> Place:
        return Place(partition.topic.removeprefix(self._prefix), partition.partition)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**client_options(self._settings))
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    @asynccontextmanager
    async def _schema(self, service: str) -> AsyncIterator[Sql]:
        """Lend a transaction in the schema of *service*."""
        connection = await asyncpg.connect(self._url, server_settings={"search_path": schema_of(service)})
        try:
            async with connection.transaction():
                yield ConnectionSql(connection)
        finally:
            await connection.close()


async def _offsets_at(
    kafka: AIOKafkaConsumer, partitions: Collection[TopicPartition], to: datetime | None
) -> dict[TopicPartition, int]:
    """Return the first offset at or after *to*; the end, if all records are older; with None the beginning."""
    if to is None:
        beginnings: dict[TopicPartition, int] = await kafka.beginning_offsets(partitions)
        return beginnings
    milliseconds = int(to.timestamp() * 1000)
    ends = await kafka.end_offsets(partitions)
    found = await kafka.offsets_for_times(dict.fromkeys(partitions, milliseconds))
    return {one: ends[one] if found[one] is None else found[one].offset for one in partitions}


async def _audit(
    sql: Sql, action: str, subject: str, before: Mapping[str, Any], after: Mapping[str, Any], why: str | None
) -> None:
    actor = f"database role {await sql.fetchval('SELECT session_user')}"
    await save_audits(sql, SystemClock().now(), [AuditRow(actor, action, subject, before, after, why)])
