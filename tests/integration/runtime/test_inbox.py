"""Every effect happens once, however often and by however many processes an event is handled."""

import asyncio

import pytest

from shared.runtime import Retryable
from shared.runtime.processing import Outcome
from shared.testing import RecordingPublisher

from .batches import arrived, captured
from .conftest import Toy


async def test_redelivered_event_publishes_the_very_same_events_and_decides_nothing_again(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        batch = arrived(captured("lead-1", "a"), captured("lead-2", "b"))
        first = await runtime.processors["toy"].process(batch)
        again = await runtime.processors["toy"].process(batch)
    assert len(first.caused) == 2
    assert again.caused == first.caused
    assert await toy.seen() == [("lead-1", "a"), ("lead-2", "b")]


async def test_batch_with_old_and_new_events_handles_only_the_new_ones(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        old, new = arrived(captured("lead-1", "old")), arrived(captured("lead-1", "new"))
        first = await runtime.processors["toy"].process(old)
        both = await runtime.processors["toy"].process([*old, *new])
    assert both.caused[0] == first.caused[0]
    assert len(both.caused) == 2
    assert await toy.seen() == [("lead-1", "old"), ("lead-1", "new")]


async def test_twin_inside_one_batch_is_handled_once(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        batch = arrived(captured("lead-1", "a"))
        outcome = await runtime.processors["toy"].process([*batch, *batch])
    assert len(outcome.caused) == 1
    assert await toy.seen() == [("lead-1", "a")]


async def test_two_processes_with_the_same_batch_have_one_effect_and_publish_the_same(toy: Toy) -> None:
    async with (
        toy.runtime(publisher=RecordingPublisher()) as owner,
        toy.runtime(publisher=RecordingPublisher()) as zombie,
    ):
        batch = arrived(*(captured(f"lead-{number}", "x") for number in range(20)))
        outcomes = await asyncio.gather(
            owner.processors["toy"].process(batch),
            zombie.processors["toy"].process(batch),
            return_exceptions=True,
        )
        late = await owner.processors["toy"].process(batch)
    assert not [o for o in outcomes if isinstance(o, BaseException) and not isinstance(o, Retryable)]
    assert all(o.caused == late.caused for o in outcomes if isinstance(o, Outcome))
    assert len(await toy.seen()) == 20


async def test_event_from_a_day_without_partition_gets_one(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        [item] = arrived(captured("lead-1", "ancient"))
        ancient = "01931234" + item.received.id[8:]  # a UUIDv7 of November 2024
        received = type(item.received)(item.received.event, ancient, item.received.key, item.received.time)
        await runtime.processors["toy"].process([type(item)(received, item.topic, 0, 0, item.payload)])
    assert await toy.seen() == [("lead-1", "ancient")]


@pytest.mark.parametrize("error", [Retryable(reason="crm_unavailable"), ConnectionResetError(), TimeoutError()])
async def test_dependency_failure_is_raised_to_the_loop_and_parks_nothing(toy: Toy, error: Exception) -> None:
    toy.faults.dependency_error = error
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        with pytest.raises(type(error)):
            await runtime.processors["toy"].process(arrived(captured("lead-1", "a")))
    assert await toy.fetch("SELECT * FROM toy.parked") == []
    assert await toy.seen() == []
