"""Where a consumer begins, on a real broker: topics created anew or cut short, groups rewound, backups restored."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaTimeoutError
from pydantic import SecretStr

from shared.clock import SystemClock
from shared.kafka import client_options
from shared.provision import create_topics
from shared.runtime import Runtime, metrics
from shared.runtime.consumer_groups import ConsumerGroups, ConsumerUnknown, GroupInUse, NothingRefused, TopicMissing

from .conftest import Toy, ToyRepository
from .test_consumer_on_kafka import consuming, publish, until

TOPIC = "leads.captured"


@pytest.fixture
async def own_topics(toy: Toy) -> Toy:
    """The toy with topics, and a group, of its own: one partition each."""
    prefix = f"{toy.settings.kafka_topic_prefix}{secrets.token_hex(3)}."
    toy.settings = toy.settings.model_copy(update={"kafka_topic_prefix": prefix})
    await create_topics(toy.settings, partitions=1)
    return toy


@asynccontextmanager
async def admin_of(toy: Toy) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(toy.settings))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def delete_topic(toy: Toy) -> None:
    name = toy.settings.kafka_topic_prefix + TOPIC
    async with admin_of(toy) as admin:
        await admin.delete_topics([name])
        while name in await admin.list_topics():  # noqa: ASYNC110 - the state is the broker's
            await asyncio.sleep(0.05)


async def delete_records_before(toy: Toy, offset: int) -> None:
    async with admin_of(toy) as admin:
        partition = TopicPartition(toy.settings.kafka_topic_prefix + TOPIC, 0)
        await admin.delete_records({partition: RecordsToDelete(offset)})


async def recreate_topic(toy: Toy) -> None:
    await delete_topic(toy)
    await create_topics(toy.settings, partitions=1)


async def publish_named(toy: Toy, prefix: str, count: int) -> None:
    await publish(toy, *(f"{prefix}{number}" for number in range(count)))


async def names_seen(toy: Toy) -> list[str]:
    return [name for _, name in await toy.seen()]


async def consume_until_seen(toy: Toy, count: int) -> None:
    async with toy.runtime() as runtime, consuming(runtime):
        await until_seen(toy, count)


async def until_seen(toy: Toy, count: int) -> None:
    async def has_seen() -> bool:
        return len(await toy.seen()) >= count

    await until(has_seen)


async def until_paused_for(runtime: Runtime[ToyRepository], reason: str | None) -> None:
    while runtime.loops["toy"].paused_for != reason:  # noqa: ASYNC110 - state of another task
        await asyncio.sleep(0.02)


def groups_of(toy: Toy) -> ConsumerGroups:
    return ConsumerGroups(toy.settings, toy.url, services=["toy"])


async def kept(toy: Toy) -> int:
    [row] = await toy.fetch("SELECT next_offset FROM toy.consumer_position WHERE topic = $1", TOPIC)
    return int(row["next_offset"])


async def test_topic_created_anew_while_the_consumer_is_stopped_is_refused_until_accepted_even_if_it_grew_beyond(
    own_topics: Toy,
) -> None:
    toy = own_topics
    await publish_named(toy, "old", 5)
    await consume_until_seen(toy, 5)
    await recreate_topic(toy)
    await publish_named(toy, "new", 9)
    async with toy.runtime() as runtime, consuming(runtime):
        await until_paused_for(runtime, "topic_recreated")
        is_ready, parts = await runtime.is_ready()
        assert (is_ready, parts["consumer toy"]) == (False, "topic_recreated")
        assert metrics.CONSUMER_PAUSED.labels("toy")._value.get() == 1
        assert await names_seen(toy) == [f"old{number}" for number in range(5)]

        assert await groups_of(toy).accept(TOPIC, why="the broker was set up anew") == ["toy"]

        await until_paused_for(runtime, None)
        await until_seen(toy, 14)
        assert metrics.CONSUMER_PAUSED.labels("toy")._value.get() == 0
    assert (await names_seen(toy))[5:] == [f"new{number}" for number in range(9)]
    [row] = await toy.fetch("SELECT * FROM toy.audit WHERE action = 'consumer.topic_accepted'")
    assert (row["subject"], row["why"]) == (f"toy {TOPIC}", "the broker was set up anew")


async def test_topic_deleted_under_a_running_consumer_is_waited_for_and_refused_when_it_is_back(
    own_topics: Toy,
) -> None:
    toy = own_topics
    await publish_named(toy, "old", 5)
    async with toy.runtime() as runtime, consuming(runtime):
        await until_seen(toy, 5)
        await delete_topic(toy)
        await until_paused_for(runtime, "topics_missing")
        await create_topics(toy.settings, partitions=1)
        await publish_named(toy, "new", 2)
        await until_paused_for(runtime, "topic_recreated")
        await groups_of(toy).accept(TOPIC, why="test")
        await until_seen(toy, 7)
    assert (await names_seen(toy))[5:] == ["new0", "new1"]


async def test_topic_that_was_created_anew_and_grew_under_a_running_consumer_loses_no_event(own_topics: Toy) -> None:
    toy = own_topics
    await publish_named(toy, "old", 5)
    async with toy.runtime() as runtime, consuming(runtime):
        await until_seen(toy, 5)
        await recreate_topic(toy)
        await publish_named(toy, "new", 9)
        await until_paused_for(runtime, "topic_recreated")
        await groups_of(toy).accept(TOPIC, why="test")
        await until_seen(toy, 14)
    # What lay beyond the old position may have been read before the topic was found out; nothing is handled twice.
    assert sorted((await names_seen(toy))[5:]) == [f"new{number}" for number in range(9)]


async def test_topic_that_ends_before_what_was_reached_is_refused_until_accepted(own_topics: Toy) -> None:
    toy = own_topics
    await publish_named(toy, "a", 3)
    await consume_until_seen(toy, 3)
    await toy.fetch("UPDATE toy.consumer_position SET next_offset = 100 WHERE topic = $1", TOPIC)
    async with toy.runtime() as runtime, consuming(runtime):
        await until_paused_for(runtime, "topic_recreated")
        [refused] = [one for one in await groups_of(toy).list_standings() if one.refusal]
        assert refused.refusal == "ends at 3, before the 100 that was reached"
        await groups_of(toy).accept(TOPIC, why="an unclean election cut it short")
        await publish_named(toy, "b", 1)
        await until_seen(toy, 4)
    assert await names_seen(toy) == ["a0", "a1", "a2", "b0"]


async def test_records_deleted_before_they_were_handled_are_counted_once_and_the_rest_flows(own_topics: Toy) -> None:
    toy = own_topics
    await publish_named(toy, "a", 2)
    await consume_until_seen(toy, 2)
    await publish_named(toy, "b", 4)
    await delete_records_before(toy, 5)
    lost = metrics.EVENTS_LOST.labels("toy")._value
    before = lost.get()
    await consume_until_seen(toy, 3)
    assert lost.get() - before == 3
    await publish_named(toy, "c", 1)
    await consume_until_seen(toy, 4)
    assert lost.get() - before == 3
    assert await names_seen(toy) == ["a0", "a1", "b3", "c0"]


async def test_restored_database_goes_on_where_it_stands_although_kafka_is_ahead(
    own_topics: Toy, create_database: Callable[..., str]
) -> None:
    toy = own_topics
    await publish_named(toy, "a", 2)
    await consume_until_seen(toy, 2)
    backup = create_database(toy.url)
    await publish_named(toy, "b", 3)
    await consume_until_seen(toy, 5)
    own_url = toy.settings.database_url.get_secret_value().rpartition("/")[0] + "/" + backup.rpartition("/")[2]
    restored = Toy(backup, toy.settings.model_copy(update={"database_url": SecretStr(own_url)}), toy.faults)
    assert await names_seen(restored) == ["a0", "a1"]
    await consume_until_seen(restored, 5)
    assert await names_seen(restored) == ["a0", "a1", "b0", "b1", "b2"]


async def test_rewound_consumer_handles_its_events_again_without_a_second_effect_and_its_position_goes_back(
    own_topics: Toy,
) -> None:
    toy = own_topics
    await publish_named(toy, "a", 3)
    await consume_until_seen(toy, 3)
    assert await kept(toy) == 3
    redelivered = metrics.EVENTS_REDELIVERED.labels("toy")._value
    before = redelivered.get()

    [move] = await groups_of(toy).rewind(["toy"], None, why="drill")

    assert (move.place.topic, move.before, move.after) == (TOPIC, 3, 0)
    await publish_named(toy, "b", 1)
    await consume_until_seen(toy, 4)
    assert redelivered.get() - before == 3
    assert await names_seen(toy) == ["a0", "a1", "a2", "b0"]
    assert await kept(toy) == 4
    [row] = await toy.fetch("SELECT * FROM toy.audit WHERE action = 'consumer.rewound'")
    assert (row["subject"], row["why"]) == ("toy", "drill")


async def test_consumer_is_rewound_to_the_first_record_at_a_time_and_never_forward(own_topics: Toy) -> None:
    toy = own_topics
    await publish_named(toy, "a", 2)
    await consume_until_seen(toy, 2)
    between = SystemClock().now()
    await publish_named(toy, "b", 2)
    await consume_until_seen(toy, 4)
    groups = groups_of(toy)
    [move] = await groups.rewind(["toy"], between)
    assert (move.before, move.after) == (4, 2)
    [move] = await groups.rewind(["toy"], SystemClock().now())
    assert (move.before, move.after) == (2, 2)


async def test_running_consumer_is_not_rewound(own_topics: Toy) -> None:
    toy = own_topics
    await publish_named(toy, "a", 1)
    async with toy.runtime() as runtime, consuming(runtime):
        await until_seen(toy, 1)
        with pytest.raises(GroupInUse, match="stop the service first"):
            await groups_of(toy).rewind(["toy"], None)


async def test_what_does_not_exist_is_neither_rewound_nor_accepted(own_topics: Toy) -> None:
    groups = groups_of(own_topics)
    with pytest.raises(ConsumerUnknown, match="nobody"):
        await groups.rewind(["nobody"], None)
    with pytest.raises(NothingRefused):
        await groups.accept(TOPIC, why="test")
    with pytest.raises(TopicMissing):
        await groups.accept("leads.nowhere", why="test")


async def test_process_that_wakes_up_late_does_not_undo_what_was_accepted(own_topics: Toy) -> None:
    toy = own_topics
    await publish_named(toy, "old", 5)
    async with toy.runtime() as zombie:
        async with consuming(zombie):
            await until_seen(toy, 5)
        await recreate_topic(toy)
        await groups_of(toy).accept(TOPIC, why="test")
        await zombie.loops["toy"]._starts.keep({TopicPartition(toy.settings.kafka_topic_prefix + TOPIC, 0): 5})
    assert await kept(toy) == 0


async def test_commit_that_failed_is_made_up_for_although_no_record_comes(
    own_topics: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = own_topics
    refused: list[object] = []
    commit = AIOKafkaConsumer.commit

    async def refuse_once(kafka: AIOKafkaConsumer, offsets: object) -> None:
        if not refused:
            refused.append(offsets)
            raise KafkaTimeoutError
        await commit(kafka, offsets)

    monkeypatch.setattr(AIOKafkaConsumer, "commit", refuse_once)
    await publish_named(toy, "last", 3)
    async with toy.runtime() as runtime, consuming(runtime):
        await until_seen(toy, 3)
        await until(lambda: _is_committed(toy, 3))
        assert await kept(toy) == 3
    assert len(refused) == 1


async def _is_committed(toy: Toy, offset: int) -> bool:
    prefix = toy.settings.kafka_topic_prefix
    async with admin_of(toy) as admin:
        committed = await admin.list_consumer_group_offsets(prefix + "toy")
    at = committed.get(TopicPartition(prefix + TOPIC, 0))
    return at is not None and at.offset == offset
