"""The publisher says when the broker is silent, and leaves nothing running behind."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

import shared.kafka
from shared.kafka import Outgoing, Publisher, PublishFailed
from shared.settings import ServiceSettings


class FakeProducer:
    """Acknowledges nothing until told. Like aiokafka's with idempotence on, it never gives a batch up by itself."""

    made: list["FakeProducer"]

    def __init__(self, **_options: Any) -> None:
        self.acknowledgement: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent = asyncio.Event()
        self.is_client_closed = False
        self.is_stop_stuck = False
        self.client = self
        self._message_accumulator = self
        FakeProducer.made.append(self)

    async def start(self) -> None: ...

    async def stop(self) -> None:
        if self.is_stop_stuck:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self.is_client_closed = True

    def fail_all(self, error: Exception) -> None:
        if not self.acknowledgement.done():
            self.acknowledgement.set_exception(error)
            self.acknowledgement.exception()

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0}

    def create_batch(self) -> Any:
        return self

    def append(self, **_row: Any) -> object:
        return object()

    async def send_batch(self, *_args: Any, **_kwargs: Any) -> "asyncio.Future[None]":
        self.sent.set()
        return self.acknowledgement


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    FakeProducer.made = []
    monkeypatch.setattr(shared.kafka, "AIOKafkaProducer", FakeProducer)
    monkeypatch.setattr(shared.kafka, "PUBLISH_SECONDS", 0.05, raising=False)
    monkeypatch.setattr(shared.kafka, "CLOSE_SECONDS", 0.05, raising=False)
    return Publisher(ServiceSettings(), "leadrail/test")


def event() -> Outgoing:
    return Outgoing("id", "type", "topic", "lead-1", "2026-11-24T10:00:00Z", b"{}")


async def made(number: int) -> FakeProducer:
    """Return the producer made as *number*, once something was sent with it."""
    while len(FakeProducer.made) <= number:  # noqa: ASYNC110 - made in another task
        await asyncio.sleep(0)
    await FakeProducer.made[number].sent.wait()
    return FakeProducer.made[number]


async def test_silent_broker_is_a_failure_and_not_an_endless_wait(publisher: Publisher) -> None:
    with pytest.raises(PublishFailed):
        async with asyncio.timeout(5):
            await publisher.publish([event()])


async def test_producer_that_cannot_flush_is_cut_off_so_that_it_delivers_nothing_later(publisher: Publisher) -> None:
    publishing = asyncio.create_task(publisher.publish([event()]))
    producer = await made(0)
    producer.is_stop_stuck = True
    producer.acknowledgement.set_exception(KafkaConnectionError())
    with pytest.raises(PublishFailed):
        await publishing
    assert producer.is_client_closed


async def test_late_failure_of_an_abandoned_producer_does_not_close_its_successor(publisher: Publisher) -> None:
    first = asyncio.create_task(publisher.publish([event()]))
    old = await made(0)
    old.acknowledgement.set_exception(KafkaConnectionError())
    with pytest.raises(PublishFailed):
        await first
    second = asyncio.create_task(publisher.publish([event()]))
    new = await made(1)
    await publisher._abandon(old)
    assert not new.is_client_closed
    new.acknowledgement.set_result(None)
    await second
    await publisher.close()
