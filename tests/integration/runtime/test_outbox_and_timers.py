"""Events of HTTP and timers: published if and only if committed; leftovers of the dead are published by the living."""

import asyncio
from datetime import timedelta

import pytest

import shared.runtime.outbox
from shared.contracts import LeadNurtured
from shared.runtime import Runtime
from shared.testing import RecordingPublisher, SteppedClock
from shared.testing.builders import make_origin, make_score

from .conftest import Toy, ToyRepository


async def emit(runtime: Runtime[ToyRepository], *lead_ids: str) -> None:
    async with runtime.work() as work:
        for lead_id in lead_ids:
            work.emit(LeadNurtured(lead_id=lead_id, origin=make_origin(), score=make_score()))


async def emit_and_fail(runtime: Runtime[ToyRepository]) -> None:
    async with runtime.work() as work:
        work.emit(LeadNurtured(lead_id="lead-1", origin=make_origin(), score=make_score()))
        raise RuntimeError


async def test_rolled_back_work_publishes_nothing(toy: Toy) -> None:
    publisher = RecordingPublisher()
    async with toy.runtime(publisher=publisher) as runtime:
        with pytest.raises(RuntimeError):
            await emit_and_fail(runtime)
        await runtime.outbox.run_once()
    assert publisher.published == []
    assert await toy.fetch("SELECT * FROM toy.outbox") == []


async def test_events_wait_in_the_table_while_the_broker_is_away_and_leave_in_order(toy: Toy) -> None:
    publisher = RecordingPublisher()
    publisher.is_away = True
    async with toy.runtime(publisher=publisher) as runtime:
        await emit(runtime, "lead-1")
        await emit(runtime, "lead-2", "lead-3")
        assert await runtime.outbox.run_once() is False
        assert len(await toy.fetch("SELECT * FROM toy.outbox")) == 3
        publisher.is_away = False
        assert await runtime.outbox.run_once() is True
    assert [out.key for out in publisher.published] == ["lead-1", "lead-2", "lead-3"]
    assert await toy.fetch("SELECT * FROM toy.outbox") == []


async def test_leftovers_of_a_dead_process_are_relayed_and_those_of_a_living_one_are_not(toy: Toy) -> None:
    relayed = RecordingPublisher()
    async with toy.runtime(publisher=RecordingPublisher()) as living, toy.runtime(publisher=relayed) as leader:
        async with toy.runtime(publisher=RecordingPublisher()) as dead:
            await emit(dead, "of-the-dead-1", "of-the-dead-2")
        await emit(living, "of-the-living")
        while not relayed.published:  # the server takes a moment to see that a process is gone
            await leader.relay.run_once()
    assert [out.key for out in relayed.published] == ["of-the-dead-1", "of-the-dead-2"]


async def test_leftovers_of_a_frozen_process_are_relayed_and_once_it_wakes_it_lives_again(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.runtime.outbox, "SILENCE_SECONDS", 1)
    relayed = RecordingPublisher()
    async with toy.runtime(publisher=RecordingPublisher()) as frozen, toy.runtime(publisher=relayed) as leader:
        await emit(frozen, "of-the-frozen")  # and then its relay does not run, as nothing of it would
        while not relayed.published:
            await leader.relay.run_once()
        await frozen.relay.run_once()
        await emit(frozen, "of-the-awake")
        assert await leader.relay.run_once() == 0
    assert [out.key for out in relayed.published] == ["of-the-frozen"]


async def test_only_one_process_relays(toy: Toy) -> None:
    first, second = RecordingPublisher(), RecordingPublisher()
    async with toy.runtime(publisher=first) as one, toy.runtime(publisher=second) as other:
        await one.relay.run_once()
        async with toy.runtime(publisher=RecordingPublisher()) as dead:
            await emit(dead, "lead-1")
        while not first.published + second.published:  # the server takes a moment to see that a process is gone
            await asyncio.gather(one.relay.run_once(), other.relay.run_once())
    assert len(first.published) == 1
    assert second.published == []


async def test_timer_fires_once_at_its_instant_and_not_before(toy: Toy) -> None:
    clock = SteppedClock()
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        async with runtime.work() as work:
            work.set_timer("reminder", "lead-1", clock.now() + timedelta(minutes=5), {"name": "later"})
            work.set_timer("reminder", "lead-2", clock.now() + timedelta(minutes=5), {"name": "cancelled"})
            work.cancel_timer("reminder", "lead-2")
        assert await runtime.timers.run_once() == 0
        clock.advance(minutes=5)
        assert await runtime.timers.run_once() == 1
        assert await runtime.timers.run_once() == 0
    assert await toy.seen() == [("lead-1", "later")]


async def test_timer_set_again_moves(toy: Toy) -> None:
    clock = SteppedClock()
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        async with runtime.work() as work:
            work.set_timer("reminder", "lead-1", clock.now() + timedelta(minutes=1), {"name": "old"})
        async with runtime.work() as work:
            work.set_timer("reminder", "lead-1", clock.now() + timedelta(minutes=9), {"name": "new"})
        clock.advance(minutes=5)
        assert await runtime.timers.run_once() == 0
        clock.advance(minutes=5)
        assert await runtime.timers.run_once() == 1
    assert await toy.seen() == [("lead-1", "new")]


async def test_two_replicas_share_due_timers_without_firing_any_twice(toy: Toy) -> None:
    clock = SteppedClock()
    async with (
        toy.runtime(clock=clock, publisher=RecordingPublisher()) as one,
        toy.runtime(clock=clock, publisher=RecordingPublisher()) as other,
    ):
        async with one.work() as work:
            for number in range(500):
                work.set_timer("reminder", f"lead-{number}", clock.now(), {"name": "x"})
        while sum(await asyncio.gather(one.timers.run_once(), other.timers.run_once())):
            pass
    seen = await toy.seen()
    assert len(seen) == 500
    assert len(set(seen)) == 500


async def test_failing_timer_is_postponed_and_the_others_fire(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    clock = SteppedClock()
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        async with runtime.work() as work:
            work.set_timer("reminder", "lead-1", clock.now(), {"name": "bad"})
            work.set_timer("reminder", "lead-2", clock.now(), {"name": "good"})
        await runtime.timers.run_once()
        assert await toy.seen() == [("lead-2", "good")]
        toy.faults.poison = set()
        clock.advance(minutes=1)
        await runtime.timers.run_once()
    assert await toy.seen() == [("lead-2", "good"), ("lead-1", "bad")]


async def test_timers_that_became_due_while_nobody_ran_fire_in_the_order_in_which_they_were_due(toy: Toy) -> None:
    clock = SteppedClock()
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as before, before.work() as work:
        for number in range(500):
            due_at = clock.now() + timedelta(seconds=(number * 37) % 500)
            work.set_timer("reminder", f"lead-{number}", due_at, {"name": f"{(number * 37) % 500:03}"})
    clock.advance(hours=1)
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        while await runtime.timers.run_once():
            pass
    assert [name for _, name in await toy.seen()] == [f"{number:03}" for number in range(500)]
