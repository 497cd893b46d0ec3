"""A poison event parks its lead and nothing else, in order, until a person decides."""

import pytest

from shared.contracts import LeadParked, LeadReleased
from shared.runtime import Retryable
from shared.runtime.release import NotParked, retry_key, skip_first
from shared.testing import RecordingPublisher, SteppedClock
from shared.testing.publishing import decode

from .batches import arrived, captured
from .conftest import Toy


async def test_poison_event_parks_its_lead_and_others_flow(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        batch = arrived(
            captured("lead-1", "a"), captured("lead-2", "bad"), captured("lead-2", "b"), captured("lead-3", "c")
        )
        outcome = await runtime.processors["toy"].process(batch)
    assert await toy.seen() == [("lead-1", "a"), ("lead-3", "c")]
    assert [out.key for out in outcome.caused] == ["lead-1", "lead-3"]
    assert [type(decode(out)) for out in outcome.from_outbox] == [LeadParked]
    rows = await toy.fetch("SELECT key, error FROM toy.parked ORDER BY parked_id")
    assert [row["key"] for row in rows] == ["lead-2", "lead-2"]
    assert rows[0]["error"].startswith("ValueError")


async def test_later_events_of_a_parked_lead_wait_behind_it_and_retry_releases_them_in_order(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    publisher = RecordingPublisher()
    async with toy.runtime(publisher=publisher) as runtime:
        process = runtime.processors["toy"].process
        await process(arrived(captured("lead-2", "bad")))
        await process(arrived(captured("lead-2", "b"), captured("lead-1", "a"), captured("lead-2", "c")))
        assert await toy.seen() == [("lead-1", "a")]
        toy.faults.poison = set()
        assert await retry_key(runtime, "toy", "lead-2", actor="ops") == 3
        await process(arrived(captured("lead-2", "d")))
        await runtime.outbox.run_once()
    assert await toy.seen() == [("lead-1", "a"), ("lead-2", "bad"), ("lead-2", "b"), ("lead-2", "c"), ("lead-2", "d")]
    assert any(isinstance(event, LeadReleased) for event in publisher.take())
    assert await toy.fetch("SELECT * FROM toy.parked") == []
    assert [row["action"] for row in await toy.fetch("SELECT action FROM toy.audit")] == ["parking.retried"]


async def test_retry_that_fails_again_leaves_everything_parked(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        await runtime.processors["toy"].process(arrived(captured("lead-2", "bad"), captured("lead-2", "b")))
        with pytest.raises(ValueError, match="digest"):
            await retry_key(runtime, "toy", "lead-2", actor="ops")
    assert await toy.seen() == []
    assert len(await toy.fetch("SELECT * FROM toy.parked")) == 2


async def test_skip_gives_up_only_the_first_event_and_a_redelivery_does_not_bring_it_back(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        batch = arrived(captured("lead-2", "bad"), captured("lead-2", "b"))
        await runtime.processors["toy"].process(batch)
        assert await skip_first(runtime, "toy", "lead-2", actor="ops", why="known bad row") == 1
        assert await retry_key(runtime, "toy", "lead-2", actor="ops") == 1
        await runtime.processors["toy"].process(batch)
        with pytest.raises(NotParked):
            await skip_first(runtime, "toy", "lead-2", actor="ops", why="nothing left")
    assert await toy.seen() == [("lead-2", "b")]


async def test_the_ledger_is_told_which_records_wait_and_which_go_on_and_not_of_one_that_was_given_up(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    publisher = RecordingPublisher()
    batch = arrived(*(captured("lead-2", name) for name in ("handled", "bad", "b", "c")))
    _handled, bad, behind, later = [item.received.event.origin.record_id for item in batch]
    async with toy.runtime(publisher=publisher) as runtime:
        process = runtime.processors["toy"].process
        await process(batch[:1])
        outcomes = [await process([*batch[1:3], batch[0]]), await process([batch[3], batch[0]])]
        assert [decode(out).record_ids for outcome in outcomes for out in outcome.from_outbox] == [  # type: ignore[attr-defined]
            (bad, behind),
            (later,),
        ]
        await skip_first(runtime, "toy", "lead-2", actor="ops", why="known bad row")
        await retry_key(runtime, "toy", "lead-2", actor="ops")
        await runtime.outbox.run_once()
    [released] = [event for event in publisher.take() if isinstance(event, LeadReleased)]
    assert (released.outcome, released.record_ids) == ("retried", (behind, later))


async def test_redelivery_of_a_parked_event_keeps_one_row(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        batch = arrived(captured("lead-2", "bad"))
        await runtime.processors["toy"].process(batch)
    async with toy.runtime(publisher=RecordingPublisher()) as successor:
        async with successor.database.connection() as sql:
            await successor.processors["toy"].parked.reload(sql)
        await successor.processors["toy"].process(batch)
    assert len(await toy.fetch("SELECT * FROM toy.parked")) == 1


async def test_storm_of_failures_pauses_the_consumer_instead_of_emptying_the_topic_into_the_lot(toy: Toy) -> None:
    toy.faults.poison = {"bad"}
    batch = arrived(*(captured(f"lead-{number}", "bad") for number in range(toy.settings.park_limit + 5)))
    async with toy.runtime(clock=SteppedClock(), publisher=RecordingPublisher()) as runtime:
        with pytest.raises(Retryable, match="too many"):
            await runtime.processors["toy"].process(batch)
    assert len(await toy.fetch("SELECT * FROM toy.parked")) == toy.settings.park_limit
