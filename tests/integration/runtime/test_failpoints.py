"""Each point lies where its name says: what the database and the publisher know when it is passed."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from shared import failpoints
from shared.clock import SystemClock
from shared.contracts import LeadNurtured
from shared.failpoints import VARIABLE, FailpointHit
from shared.runtime import Runtime
from shared.testing import RecordingPublisher
from shared.testing.builders import make_origin, make_score

from .batches import arrived, captured
from .conftest import Toy, ToyRepository


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


def arm(text: str) -> None:
    failpoints.arm({VARIABLE: text})


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
async def runtime(toy: Toy, publisher: RecordingPublisher) -> AsyncIterator[Runtime[ToyRepository]]:
    async with toy.runtime(publisher=publisher) as made:
        yield made


async def count(toy: Toy, table: str) -> int:
    return len(await toy.fetch(f"SELECT FROM toy.{table}"))


async def set_due_timer(runtime: Runtime[ToyRepository]) -> None:
    async with runtime.work() as work:
        work.set_timer("reminder", "lead-1", runtime.clock.now(), {"name": "due"})


async def test_before_the_commit_of_a_batch_nothing_is_kept(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    arm("batch_before_commit=fail")
    with pytest.raises(FailpointHit):
        await runtime.processors["toy"]._attempt(arrived(captured("lead-1", "a")), (), is_careful=False)
    assert (await toy.seen(), await count(toy, "inbox")) == ([], 0)


async def test_after_the_commit_of_a_batch_everything_is_kept_and_nothing_published(
    toy: Toy, runtime: Runtime[ToyRepository], publisher: RecordingPublisher
) -> None:
    arm("batch_after_commit=fail")
    with pytest.raises(FailpointHit):
        await runtime.processors["toy"]._attempt(arrived(captured("lead-1", "a")), (), is_careful=False)
    assert (await toy.seen(), await count(toy, "inbox")) == ([("lead-1", "a")], 1)
    assert publisher.published == []


@pytest.mark.parametrize("point", ["batch_before_commit", "batch_after_commit"])
async def test_batch_that_fails_at_its_commit_still_has_its_effect_once(
    toy: Toy, runtime: Runtime[ToyRepository], point: str
) -> None:
    arm(f"{point}=fail")
    outcome = await runtime.processors["toy"].process(arrived(captured("lead-1", "a")))
    assert await toy.seen() == [("lead-1", "a")]
    assert [out.key for out in outcome.caused] == ["lead-1"]


async def test_claimed_timer_comes_back_when_the_claim_fails(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    await set_due_timer(runtime)
    arm("timer_claimed=fail@1,timer_claimed=fail@2")
    await runtime.timers.run_once()
    assert (await toy.seen(), await count(toy, "timer")) == ([], 1)


async def test_committed_timer_is_gone_and_its_effect_there_once(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    await set_due_timer(runtime)
    arm("timer_committed=fail")
    await runtime.timers.run_once()
    assert (await toy.seen(), await count(toy, "timer")) == ([("lead-1", "due")], 0)


async def test_event_is_in_the_outbox_until_it_is_published(
    toy: Toy, runtime: Runtime[ToyRepository], publisher: RecordingPublisher
) -> None:
    async with runtime.work() as work:
        work.emit(LeadNurtured(lead_id="lead-1", origin=make_origin(), score=make_score()))
    arm("outbox_before_publish=fail")
    with pytest.raises(FailpointHit):
        await runtime.outbox.run_once()
    assert (publisher.published, await count(toy, "outbox")) == ([], 1)


async def test_service_lives_by_the_clock_that_jumps(toy: Toy) -> None:
    arm("clock=shift:600")
    runtime = Runtime(toy.service(), publisher=RecordingPublisher())
    await runtime.open()
    try:
        async with runtime.work() as work:
            work.set_timer("reminder", "lead-1", SystemClock().now() + timedelta(minutes=5), {"name": "due"})
        assert await runtime.timers.run_once() == 1
    finally:
        await runtime.close()
    assert await toy.seen() == [("lead-1", "due")]
