"""Corners of parking: what was handled already, what is too old, what no table can hold."""

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from shared.contracts import LeadCaptured
from shared.runtime import Retryable, Runtime
from shared.runtime.envelope import Arrived
from shared.runtime.release import retry_key, skip_first
from shared.testing import RecordingPublisher

from .batches import arrived, captured
from .conftest import Toy, ToyRepository


async def park(runtime: Runtime[ToyRepository], toy: Toy, batch: list[Arrived]) -> None:
    toy.faults.poison = {"bad"}
    await runtime.processors["toy"].process(batch)
    toy.faults.poison = set()


async def test_event_handled_before_does_not_park_behind_a_poison_one_and_its_effects_are_published_again(
    toy: Toy,
) -> None:
    toy.faults.poison = {"bad"}
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        process = runtime.processors["toy"].process
        [handled] = arrived(captured("lead-1", "handled"))
        first = await process([handled])
        outcome = await process([*arrived(captured("lead-1", "bad")), handled])
        assert outcome.caused == first.caused
        toy.faults.poison = set()
        assert await retry_key(runtime, "toy", "lead-1", actor="ops") == 1
    assert await toy.seen() == [("lead-1", "handled"), ("lead-1", "bad")]


async def test_event_another_process_handled_while_it_failed_here_is_not_parked(toy: Toy) -> None:
    async with (
        toy.runtime(publisher=RecordingPublisher()) as zombie,
        toy.runtime(publisher=RecordingPublisher()) as owner,
    ):
        batch = arrived(captured("lead-1", "a"))

        async def fail_while_the_owner_succeeds(_item: Arrived) -> Exception:
            await owner.processors["toy"].process(batch)
            return ValueError("old code cannot")

        zombie.processors["toy"]._handle_alone = fail_while_the_owner_succeeds  # type: ignore[assignment,method-assign]
        with pytest.raises(Retryable):
            await zombie.processors["toy"]._handle_key("lead-1", batch)
    assert await toy.seen() == [("lead-1", "a")]
    assert await toy.fetch("SELECT * FROM toy.parked") == []


async def test_parked_event_that_was_handled_meanwhile_can_be_released_without_a_second_effect(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        batch = arrived(captured("lead-1", "bad"), captured("lead-1", "b"))
        await park(runtime, toy, batch)
        async with toy.runtime(publisher=RecordingPublisher()) as other:
            await other.processors["toy"].process(batch[:1])
        assert await retry_key(runtime, "toy", "lead-1", actor="ops") == 2
    assert await toy.seen() == [("lead-1", "bad"), ("lead-1", "b")]
    assert await toy.fetch("SELECT * FROM toy.parked") == []


async def test_parked_event_that_was_handled_meanwhile_can_be_skipped(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        batch = arrived(captured("lead-1", "bad"))
        await park(runtime, toy, batch)
        async with toy.runtime(publisher=RecordingPublisher()) as other:
            await other.processors["toy"].process(batch)
        assert await skip_first(runtime, "toy", "lead-1", actor="ops", why="handled elsewhere") == 0
    assert await toy.fetch("SELECT * FROM toy.parked") == []


async def test_event_parked_longer_than_the_inbox_is_kept_can_still_be_retried_and_skipped(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        batch = [_aged(item) for item in arrived(captured("lead-1", "bad"), captured("lead-2", "bad"))]
        toy.faults.poison = {"bad"}
        await runtime.processors["toy"].process(batch)
        toy.faults.poison = set()
        async with runtime.database.connection() as sql:
            await sql.execute("DROP TABLE IF EXISTS inbox_20241115")
        assert await retry_key(runtime, "toy", "lead-1", actor="ops") == 1
        async with runtime.database.connection() as sql:
            await sql.execute("DROP TABLE IF EXISTS inbox_20241115")
        assert await skip_first(runtime, "toy", "lead-2", actor="ops", why="too old") == 0
    assert await toy.seen() == [("lead-1", "bad")]


def _aged(item: Arrived) -> Arrived:
    ancient = "01932e00" + item.received.id[8:]
    received = structs.replace(item.received, id=ancient, time=item.received.time - timedelta(days=700))
    return structs.replace(item, received=received)


async def test_failure_whose_text_no_table_can_hold_still_parks_its_lead_only(toy: Toy) -> None:
    async def on_captured(*_: object) -> None:
        raise ValueError("bad byte \x00 of dana@acme.example")

    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        processor = runtime.processors["toy"]
        processor._consumer = replace(processor._consumer, handlers={LeadCaptured: on_captured})
        await processor.process(arrived(captured("lead-1", "a")))
    [row] = await toy.fetch("SELECT key, error FROM toy.parked")
    assert row["key"] == "lead-1"
    assert row["error"].startswith("ValueError")
    assert "dana@" not in row["error"]


async def test_releasing_a_lead_leaves_the_filter_to_the_consumer(toy: Toy) -> None:
    """Between the release's COMMIT and its forgetting the key, the consumer may have parked the lead anew."""
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        await park(runtime, toy, arrived(captured("lead-1", "bad")))
        await retry_key(runtime, "toy", "lead-1", actor="ops")
        assert "lead-1" in runtime.processors["toy"].parked
        await runtime.processors["toy"].process(arrived(captured("lead-1", "b")))
        assert "lead-1" not in runtime.processors["toy"].parked
    assert await toy.seen() == [("lead-1", "bad"), ("lead-1", "b")]
