"""Clocks on a real database: started, met, breached, reassigned; timers that survive a restart."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts import (
    Event,
    LeadAssigned,
    LeadCaptured,
    LeadNurtured,
    LeadReassigned,
    LeadUnassigned,
    LeadWithheld,
    SlaClockChanged,
)
from shared.ids import new_id
from shared.runtime import Retryable
from shared.testing import ServiceHarness
from shared.testing.builders import (
    make_activity,
    make_assigned,
    make_captured,
    make_facts,
    make_lead,
    make_origin,
    make_owner,
    make_score,
    make_verdict,
)
from sla_monitor.__main__ import build_service
from sla_monitor.domain.journeys import LeadFile
from sla_monitor.settings import SlaMonitorSettings


class Story:
    """One lead's events, told in the order a test wants."""

    def __init__(self, harness: ServiceHarness) -> None:
        self.lead_id = new_id()
        self.origin = make_origin(received_at=harness.clock.now())
        self.clock = harness.clock

    def captured(self, **fields: Any) -> LeadCaptured:
        return make_captured(self.lead_id, origin=self.origin, **fields)

    def assigned(self, rep_id: str = "rep-1", assignment_id: str | None = None) -> LeadAssigned:
        return make_assigned(self.lead_id, origin=self.origin, owner=self._owner(rep_id, assignment_id))

    def reassigned(self, rep_id: str, previous: str) -> LeadReassigned:
        return LeadReassigned(
            lead_id=self.lead_id,
            origin=self.origin,
            lead=make_lead(),
            facts=make_facts(),
            score=make_score(),
            verdict=make_verdict(),
            owner=self._owner(rep_id, None),
            previous_assignment_id=previous,
            previous_rep_id="rep-1",
            reason="sla_breached",
        )

    def nurtured(self) -> LeadNurtured:
        return LeadNurtured(lead_id=self.lead_id, origin=self.origin, score=make_score(is_mql=False))

    def unassigned(self, reason: Any) -> LeadUnassigned:
        return LeadUnassigned(lead_id=self.lead_id, origin=self.origin, reason=reason)

    def withheld(self) -> LeadWithheld:
        return LeadWithheld(
            lead_id=self.lead_id,
            origin=self.origin,
            score=make_score(),
            verdict=make_verdict(channels=(), decided_at=self.clock.now()),
            trigger="submission",
        )

    def touched(self, **fields: Any) -> Event:
        values = {"kind": "first_touch", "occurred_at": self.clock.now(), "origin": self.origin}
        return make_activity(self.lead_id, **{**values, **fields})

    def _owner(self, rep_id: str, assignment_id: str | None) -> Any:
        return make_owner(rep_id=rep_id, assignment_id=assignment_id or new_id(), assigned_at=self.clock.now())


def changes(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    assert all(isinstance(event, SlaClockChanged) for event in events)
    return [(e.stage, e.state, e.action) for e in events if isinstance(e, SlaClockChanged)]


async def test_a_lead_is_timed_from_receipt_to_owner_to_first_touch(harness):
    story = Story(harness)
    assert changes(await harness.feed(story.captured())) == [("assign", "started", "none")]
    harness.clock.advance(seconds=2)
    assert changes(await harness.feed(story.assigned())) == [
        ("assign", "met", "none"),
        ("first_touch", "started", "none"),
    ]
    harness.clock.advance(minutes=10)
    (met,) = await harness.feed(story.touched())
    assert (met.stage, met.state, met.changed_at - met.started_at) == (
        "first_touch",
        "met",
        timedelta(minutes=10, seconds=2),
    )
    harness.clock.advance(hours=5)
    assert await harness.fire_due_timers() == []
    assert await harness.fetch("SELECT * FROM timer") == []


async def test_a_silent_rep_is_warned_about_then_loses_the_lead(harness):
    story = Story(harness)
    await harness.feed(story.captured(), story.assigned(assignment_id=(first := new_id())))
    harness.clock.advance(minutes=45)
    assert changes(await harness.fire_due_timers()) == [("first_touch", "at_risk", "notify")]
    harness.clock.advance(minutes=15)
    (breach,) = await harness.fire_due_timers()
    assert (breach.state, breach.action, breach.rep_id, breach.assignment_id) == (
        "breached",
        "reassign",
        "rep-1",
        first,
    )
    harness.clock.advance(seconds=1)
    moved = await harness.feed(story.reassigned("rep-2", first))
    assert [(e.state, e.rep_id, e.started_at) for e in moved] == [("started", "rep-2", harness.clock.now())]
    announced = []
    for minutes in (45, 15):
        harness.clock.advance(minutes=minutes)
        announced += changes(await harness.fire_due_timers())
    assert announced == [("first_touch", "at_risk", "notify"), ("first_touch", "breached", "notify")]


async def test_a_breach_that_nobody_answers_is_escalated(harness):
    story = Story(harness)
    await harness.feed(story.captured(), story.assigned())
    for minutes in (45, 15):
        harness.clock.advance(minutes=minutes)
        await harness.fire_due_timers()
    harness.clock.advance(hours=1)
    assert changes(await harness.fire_due_timers()) == [("first_touch", "escalated", "notify")]


async def test_a_lead_in_the_fallback_queue_breaches_the_time_to_an_owner(harness):
    story = Story(harness)
    await harness.feed(story.captured(), story.unassigned("fallback_queue"))
    harness.clock.advance(minutes=3)
    assert changes(await harness.fire_due_timers()) == [("assign", "at_risk", "notify")]
    harness.clock.advance(minutes=2)
    assert changes(await harness.fire_due_timers()) == [("assign", "breached", "notify")]


@pytest.mark.parametrize("ending", ["nurtured", "withheld"])
async def test_a_lead_that_sales_does_not_get_is_no_longer_timed(harness, ending):
    story = Story(harness)
    await harness.feed(story.captured())
    assert changes(await harness.feed(getattr(story, ending)())) == [("assign", "cancelled", "none")]
    harness.clock.advance(hours=1)
    assert await harness.fire_due_timers() == []


async def test_withdrawn_consent_stops_the_clock_that_would_push_the_rep_to_call(harness):
    story = Story(harness)
    await harness.feed(story.captured(), story.assigned())
    harness.clock.advance(minutes=5)
    assert changes(await harness.feed(story.unassigned("consent_withdrawn"))) == [("first_touch", "cancelled", "none")]


async def test_a_touch_known_before_the_lead_is_kept_and_counts(harness):
    story = Story(harness)
    harness.clock.advance(minutes=1)
    touch = story.touched()
    assert await harness.feed(touch) == []
    assert changes(await harness.feed(story.assigned())) == [
        ("first_touch", "started", "none"),
        ("first_touch", "met", "none"),
    ]
    assert changes(await harness.feed(story.captured())) == [("assign", "started", "none"), ("assign", "met", "none")]


async def test_a_redelivered_batch_announces_the_same_events_and_writes_nothing_new(harness):
    story = Story(harness)
    first = await harness.feed(story.captured(), story.assigned())
    before = await harness.fetch("SELECT * FROM lead, clock ORDER BY clock_id")
    assert await harness.redeliver_last() == first
    assert await harness.fetch("SELECT * FROM lead, clock ORDER BY clock_id") == before


async def test_a_whole_batch_of_leads_is_timed_at_once(harness):
    stories = [Story(harness) for _ in range(200)]
    started = await harness.feed(*(story.captured() for story in stories))
    assert changes(started) == [("assign", "started", "none")] * 200
    await harness.feed(*(story.assigned() for story in stories))
    harness.clock.advance(minutes=60)
    await harness.fire_due_timers()
    harness.clock.advance(seconds=5)
    breaches = [event for event in await harness.fire_due_timers() if event.state == "breached"]
    assert {event.lead_id for event in breaches} == {story.lead_id for story in stories}


async def test_timers_after_an_outage_wait_for_the_consumers_then_announce_each_state_in_order(harness):
    story = Story(harness)
    await harness.feed(story.captured(), story.assigned())
    harness.clock.advance(hours=4)
    assert await harness.fire_due_timers() == []
    harness.clock.advance(seconds=5)
    assert changes(await harness.fire_due_timers()) == [
        ("first_touch", "at_risk", "notify"),
        ("first_touch", "breached", "reassign"),
        ("first_touch", "escalated", "notify"),
    ]


async def test_a_call_made_during_an_outage_keeps_the_lead_with_its_rep(harness):
    story = Story(harness)
    await harness.feed(story.captured(), story.assigned())
    harness.clock.advance(minutes=30)
    touch = story.touched()
    harness.clock.advance(hours=4)
    assert await harness.fire_due_timers() == []
    assert changes(await harness.feed(touch)) == [("first_touch", "met", "none")]
    harness.clock.advance(seconds=5)
    assert await harness.fire_due_timers() == []


async def test_a_call_reported_after_the_breach_was_announced_puts_the_record_straight(harness):
    story = Story(harness)
    await harness.feed(story.captured(), story.assigned())
    harness.clock.advance(minutes=30)
    touch = story.touched()
    for minutes in (15, 15):
        harness.clock.advance(minutes=minutes)
        await harness.fire_due_timers()
    assert changes(await harness.feed(touch)) == [("first_touch", "met", "none")]
    (row,) = await harness.fetch("SELECT state, met_at FROM clock WHERE stage = 'first_touch'")
    assert row["state"] == "met"


async def test_timers_survive_a_restart(create_database: Callable[..., str]):
    url = create_database()
    async with ServiceHarness.start(build_service, SlaMonitorSettings, url) as first:
        story, clock = Story(first), first.clock
        await first.feed(story.captured())
    clock.advance(minutes=3)
    async with ServiceHarness.start(build_service, SlaMonitorSettings, url, clock) as second:
        assert changes(await second.fire_due_timers()) == [("assign", "at_risk", "notify")]


async def test_a_lead_that_two_processes_write_at_once_is_decided_again_not_overwritten(harness):
    story = Story(harness)
    await harness.feed(story.captured())
    async with harness.runtime.work() as late:
        files = await late.repo.load_files([story.lead_id])
        stale = LeadFile(story.lead_id, files[story.lead_id].version - 1, has_new_facts=True)
        with pytest.raises(Retryable):
            await late.repo.save_files([stale])


async def test_a_timer_does_not_wait_for_a_lead_that_a_consumer_is_writing(harness):
    story = Story(harness)
    await harness.feed(story.captured())
    harness.clock.advance(minutes=3)
    async with harness.runtime.database.transaction() as sql:
        await sql.fetch("SELECT * FROM lead FOR UPDATE")
        assert await harness.fire_due_timers() == []
    harness.clock.advance(seconds=1)
    assert changes(await harness.fire_due_timers()) == [("assign", "at_risk", "notify")]


async def test_loading_a_batch_uses_the_indexes(harness):
    stories = [Story(harness) for _ in range(300)]
    await harness.feed(*(story.captured() for story in stories))
    await harness.fetch("ANALYZE lead")
    await harness.fetch("ANALYZE clock")
    plan = await harness.fetch(
        "EXPLAIN SELECT detail FROM clock WHERE closed_at IS NULL ORDER BY due_at, lead_id, clock_id LIMIT 50"
    )
    assert any("clock_open" in row[0] for row in plan)
    plan = await harness.fetch("EXPLAIN SELECT * FROM clock WHERE lead_id = $1", stories[0].lead_id)
    assert any("clock_pkey" in row[0] for row in plan)
