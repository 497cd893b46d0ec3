"""The outbox keeps order through overflow and failure; timers wake, and only the one that failed is postponed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

import shared.runtime.outbox
from shared.contracts import LeadNurtured
from shared.runtime import Runtime
from shared.runtime.partitions import days_around, ensure_days
from shared.runtime.upkeep import Upkeep
from shared.testing import RecordingPublisher, SteppedClock
from shared.testing.builders import make_origin, make_score

from .conftest import Toy, ToyRepository


async def emit(runtime: Runtime[ToyRepository], lead_id: str, count: int = 1) -> None:
    async with runtime.work() as work:
        for _ in range(count):
            work.emit(LeadNurtured(lead_id=lead_id, origin=make_origin(), score=make_score()))


def first_arrivals(publisher: RecordingPublisher) -> list[str]:
    return list(dict.fromkeys(out.id for out in publisher.published))


async def drained(runtime: Runtime[ToyRepository]) -> None:
    while await runtime.outbox.run_once() and await _left(runtime):
        pass


async def _left(runtime: Runtime[ToyRepository]) -> int:
    async with runtime.database.connection() as sql:
        count: int = await sql.fetchval("SELECT count(*) FROM outbox")
    return count


@pytest.mark.parametrize(
    "limits",
    [{"MEMORY_LIMIT": 3, "PUBLISH_MOST": 2}, {"MEMORY_BYTES": 1_000, "PUBLISH_BYTES": 1}],
    ids=["count", "bytes"],
)
async def test_event_committed_while_an_overflowed_outbox_is_read_does_not_overtake_the_ones_in_the_table(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(shared.runtime.outbox, name, limit)
    publisher = RecordingPublisher()
    async with toy.runtime(publisher=publisher) as runtime:
        await emit(runtime, "lead-1", 5)
        assert runtime.outbox.is_overflowed
        load = runtime.outbox._load_own

        async def load_while_another_commits(*args: Any) -> Any:
            rows = await load(*args)
            await emit(runtime, "lead-1")
            return rows

        monkeypatch.setattr(runtime.outbox, "_load_own", load_while_another_commits)
        await runtime.outbox.run_once()
        monkeypatch.setattr(runtime.outbox, "_load_own", load)
        await drained(runtime)
    assert len(first_arrivals(publisher)) == 6
    assert first_arrivals(publisher) == sorted(first_arrivals(publisher))


async def test_event_committed_after_a_failed_read_of_the_table_does_not_overtake_it(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.runtime.outbox, "MEMORY_LIMIT", 3)
    publisher = RecordingPublisher()
    async with toy.runtime(publisher=publisher) as runtime:
        await emit(runtime, "lead-1", 5)
        publisher.is_away = True
        assert await runtime.outbox.run_once() is False
        await emit(runtime, "lead-1")
        publisher.is_away = False
        await drained(runtime)
    assert len(first_arrivals(publisher)) == 6
    assert first_arrivals(publisher) == sorted(first_arrivals(publisher))


async def test_only_the_timer_that_failed_is_postponed_even_if_its_twin_is_being_fired_elsewhere(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    clock = SteppedClock()
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        async with runtime.work() as work:
            work.set_timer("reminder", "lead-1", clock.now() - timedelta(minutes=1), {"name": "good"})
            work.set_timer("reminder", "lead-2", clock.now(), {"name": "bad"})
        async with runtime.database.transaction() as elsewhere:
            await elsewhere.execute("SELECT FROM timer WHERE key = 'lead-1' FOR UPDATE")
            async with asyncio.timeout(10):
                await runtime.timers.run_once()
        rows = await toy.fetch("SELECT key, attempts FROM toy.timer ORDER BY key")
    assert [(row["key"], row["attempts"]) for row in rows] == [("lead-1", 0), ("lead-2", 1)]


async def test_timer_failure_whose_text_no_table_can_hold_is_postponed_like_any_other(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteppedClock()

    async def on_due(*_: object) -> None:
        raise ValueError("bad byte \x00")

    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        monkeypatch.setattr(runtime.timers, "_handlers", {"reminder": on_due})
        async with runtime.work() as work:
            work.set_timer("reminder", "lead-1", clock.now(), {"name": "x"})
        await runtime.timers.run_once()
    [row] = await toy.fetch("SELECT attempts FROM toy.timer")
    assert row["attempts"] == 1


async def test_timer_that_failed_for_a_while_is_tried_again_within_the_hour(
    toy: Toy,
) -> None:
    clock = SteppedClock()
    toy.faults.poison = {"bad"}
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        async with runtime.work() as work:
            work.set_timer("reminder", "lead-1", clock.now(), {"name": "bad"})
        for _ in range(20):
            await runtime.timers.run_once()
            clock.advance(hours=1)
        toy.faults.poison = set()
        assert await runtime.timers.run_once() == 1
    assert await toy.seen() == [("lead-1", "bad")]


async def test_timer_committed_while_the_loop_looks_for_the_next_one_wakes_it(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteppedClock()
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        timers = runtime.timers
        # The loop slept until a timer that has fired since.
        await timers._sleep(clock.now() - timedelta(seconds=1))
        timers.wake(clock.now())
        async with asyncio.timeout(0.5):
            await timers._sleep(None)


async def test_two_processes_that_drop_the_same_old_day_at_once_both_go_on(toy: Toy) -> None:
    clock = SteppedClock()
    async with (
        toy.runtime(clock=clock, publisher=RecordingPublisher()) as one,
        toy.runtime(clock=clock, publisher=RecordingPublisher()) as other,
    ):
        clock.advance(days=30)
        async with one.database.transaction() as sql:
            await ensure_days(sql, "inbox", days_around(clock.now()))
        async with one.database.transaction() as sql:
            await sql.execute("LOCK TABLE inbox IN ACCESS SHARE MODE")
            both = asyncio.gather(*(_upkeep(runtime, clock)._keep_partitions() for runtime in (one, other)))
            while await _waiting(toy) < 2:  # noqa: ASYNC110 - the state is in the server
                await asyncio.sleep(0.02)
        await both


async def _waiting(toy: Toy) -> int:
    rows = await toy.fetch(
        "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return len(rows)


def _upkeep(runtime: Runtime[ToyRepository], clock: SteppedClock) -> Upkeep:
    return Upkeep(runtime.database, clock, (), {})
