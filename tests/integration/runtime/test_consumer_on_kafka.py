"""The whole loop on a real broker: poll, commit, publish, offset."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from shared.kafka import Outgoing, Publisher, client_options
from shared.runtime import Runtime

from .batches import arrived, captured
from .conftest import Toy, ToyRepository


@asynccontextmanager
async def consuming(runtime: Runtime[ToyRepository]) -> AsyncIterator[None]:
    loop = runtime.loops["toy"]
    task = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        await loop.drain()
        await task


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Poll an asynchronous condition; the test's own timeout ends a wait that never comes true."""
    while not await condition():  # noqa: ASYNC110 - the state is in a database
        await asyncio.sleep(0.02)


async def published(toy: Toy, topic: str, count: int) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(
        toy.settings.kafka_topic_prefix + topic, auto_offset_reset="earliest", **client_options(toy.settings)
    )
    await consumer.start()
    try:
        return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


async def first_of(toy: Toy, topic: str, key: bytes) -> ConsumerRecord:
    consumer = AIOKafkaConsumer(
        toy.settings.kafka_topic_prefix + topic, auto_offset_reset="earliest", **client_options(toy.settings)
    )
    await consumer.start()
    try:
        return await anext(record async for record in consumer if record.key == key)
    finally:
        await consumer.stop()


async def publish(toy: Toy, *names: str, lead_id: str = "lead-1") -> None:
    publisher = Publisher(toy.settings, "leadrail/test")
    outgoing = []
    for item in arrived(*(captured(lead_id, name) for name in names)):
        event = item.received.event
        outgoing.append(
            Outgoing(item.received.id, event.type, event.topic, lead_id, "2026-11-24T10:00:00Z", item.payload)
        )
    await publisher.publish(outgoing)
    await publisher.close()


async def test_events_of_one_lead_are_handled_in_order_and_their_effects_reach_the_next_topic(
    toy_with_topics: Toy,
) -> None:
    toy = toy_with_topics
    await publish(toy, *(f"{number:03}" for number in range(200)))
    async with toy.runtime() as runtime, consuming(runtime):
        records = await published(toy, "leads.routed", 200)
    assert [name for _, name in await toy.seen()] == [f"{number:03}" for number in range(200)]
    headers = dict(records[0].headers)
    assert headers["ce_type"] == b"leadrail.lead.nurtured.v1"
    assert headers["ce_source"] == b"leadrail/toy"
    assert records[0].key == b"lead-1"


async def test_undecodable_record_becomes_a_dead_letter_with_its_raw_bytes_and_the_rest_flows(
    toy_with_topics: Toy,
) -> None:
    toy = toy_with_topics
    producer = AIOKafkaProducer(**client_options(toy.settings))
    await producer.start()
    topic = toy.settings.kafka_topic_prefix + "leads.captured"
    await producer.send_and_wait(topic, b"\xff{not json", key=b"k", headers=[("ce_type", b"leadrail.lead.captured.v1")])
    await producer.stop()
    await publish(toy, "good")
    async with toy.runtime() as runtime, consuming(runtime):
        await until(toy.seen)
        await until(lambda: toy.fetch("SELECT * FROM toy.dead_letter"))
    [letter] = await toy.fetch("SELECT payload, key, topic FROM toy.dead_letter")
    assert letter["payload"] == b"\xff{not json"
    assert letter["key"] == b"k"


async def test_crash_between_commit_and_publish_is_healed_by_redelivery(toy_with_topics: Toy) -> None:
    toy = toy_with_topics
    await publish(toy, "a", lead_id="lead-2")

    class DyingPublisher:
        async def publish(self, _events: object) -> None:
            raise asyncio.CancelledError

        async def close(self) -> None: ...

    async with toy.runtime(publisher=DyingPublisher()) as dying:
        task = asyncio.create_task(dying.loops["toy"].run())
        await asyncio.gather(task, return_exceptions=True)
    assert await toy.seen() == [("lead-2", "a")]
    async with toy.runtime() as successor, consuming(successor):
        await first_of(toy, "leads.routed", b"lead-2")
    assert await toy.seen() == [("lead-2", "a")]


async def test_dependency_outage_pauses_the_consumer_and_it_resumes_without_loss(toy_with_topics: Toy) -> None:
    toy = toy_with_topics
    toy.faults.dependency_error = ConnectionResetError()
    await publish(toy, "a", "b")
    async with toy.runtime() as runtime, consuming(runtime):
        while runtime.loops["toy"].paused_for != "ConnectionResetError":  # noqa: ASYNC110 - state of another task
            await asyncio.sleep(0.02)
        toy.faults.dependency_error = None
        await until(toy.seen)
        await published(toy, "leads.routed", 2)
        paused_for: str | None = runtime.loops["toy"].paused_for
    assert paused_for is None
    assert await toy.seen() == [("lead-1", "a"), ("lead-1", "b")]
    assert await toy.fetch("SELECT * FROM toy.parked") == []


async def test_second_replica_takes_over_without_a_second_effect(toy_with_topics: Toy) -> None:
    toy = toy_with_topics
    for number in range(20):
        await publish(toy, "x", lead_id=f"lead-{number}")
    async with toy.runtime() as one, consuming(one):
        await until(toy.seen)
        async with toy.runtime() as two, consuming(two):
            for number in range(20, 40):
                await publish(toy, "x", lead_id=f"lead-{number}")
            await published(toy, "leads.routed", 40)
    seen = await toy.seen()
    assert len(seen) == len(set(seen)) == 40
