"""Shared timers: few rows, and no clock forgotten, late or held back by another one."""

import msgspec
import pytest

from shared.contracts import ActivityRecorded, LeadUnassigned
from shared.ids import new_id
from shared.runtime import Retryable
from shared.testing import ServiceHarness
from shared.testing.builders import make_activity, make_assigned, make_captured, make_origin, make_owner
from sla_monitor.domain.journeys import LeadFile


def captures(harness: ServiceHarness, count: int):
    return [make_captured(origin=make_origin(received_at=harness.clock.now())) for _ in range(count)]


def states(events) -> set[tuple[str, str]]:
    return {(event.lead_id, event.state) for event in events}


async def test_the_clocks_of_a_batch_share_timers(harness):
    leads = captures(harness, 100)
    await harness.feed(*leads)
    timers = await harness.fetch("SELECT payload FROM timer")
    held = [ref for timer in timers for ref in msgspec.json.decode(timer["payload"])["clocks"]]
    assert len(timers) == 10
    assert {lead_id for lead_id, _ in held} == {lead.lead_id for lead in leads}


async def test_of_the_clocks_that_share_a_timer_only_those_that_still_run_are_announced(harness):
    waiting, owned = captures(harness, 2)
    await harness.feed(waiting, owned)
    owner = make_owner(assigned_at=harness.clock.now())
    await harness.feed(make_assigned(owned.lead_id, origin=owned.origin, owner=owner))
    harness.clock.advance(minutes=3)
    assert states(await harness.fire_due_timers()) == {(waiting.lead_id, "at_risk")}


async def test_a_clock_that_cannot_be_judged_holds_back_none_that_shares_its_timer(harness):
    broken, *others = captures(harness, 5)
    await harness.feed(broken, *others)
    await harness.fetch("UPDATE clock SET detail = '\\x00' WHERE lead_id = $1", broken.lead_id)
    harness.clock.advance(minutes=3)
    assert states(await harness.fire_due_timers()) == {(lead.lead_id, "at_risk") for lead in others}
    (timer,) = await harness.fetch("SELECT payload FROM timer WHERE error IS NOT NULL")
    assert msgspec.json.decode(timer["payload"])["clocks"] == [[broken.lead_id, 1]]


async def test_a_timer_of_a_lead_that_was_deleted_is_dropped(harness):
    (lead,) = captures(harness, 1)
    await harness.feed(lead)
    await harness.fetch("DELETE FROM clock")
    await harness.fetch("DELETE FROM lead")
    harness.clock.advance(minutes=3)
    assert await harness.fire_due_timers() == []
    assert await harness.fetch("SELECT * FROM timer") == []


async def test_a_new_lead_that_two_processes_write_at_once_is_decided_again(harness):
    (lead,) = captures(harness, 1)
    await harness.feed(lead)
    with pytest.raises(Retryable):
        async with harness.runtime.work() as late:
            await late.repo.save_files([LeadFile(lead.lead_id, has_new_facts=True)])


async def test_what_no_clock_depends_on_is_passed_over_without_a_trace(harness):
    (consumer,) = harness.runtime.service.consumers
    is_wanted = consumer.wanted[ActivityRecorded]
    assert is_wanted(make_activity(kind="first_touch"))
    assert not is_wanted(make_activity(kind="email_open"))
    unassigned = [
        LeadUnassigned(lead_id=new_id(), origin=make_origin(), reason=reason)
        for reason in ("fallback_queue", "consent_withdrawn")
    ]
    assert [consumer.wanted[LeadUnassigned](event) for event in unassigned] == [False, True]
