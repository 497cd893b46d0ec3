"""Events and timers in, clock changes out."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.contracts import (
    ActivityRecorded,
    Event,
    LeadAssigned,
    LeadCaptured,
    LeadNurtured,
    LeadReassigned,
    LeadRetained,
    LeadUnassigned,
    LeadWithheld,
    Origin,
    Score,
    SlaClockChanged,
)
from shared.runtime import DueTimer, Handlers, Received, TimerHandlers, UnitOfWork
from sla_monitor import metrics
from sla_monitor.alarms import CATCH_UP, TIMER, arm_changed, due_clocks, must_wait, refs_in, set_alarm
from sla_monitor.domain.facts import Capture, Ending, Fact, Ownership, OwnershipKind, Touch
from sla_monitor.domain.journeys import ClockChange, let_time_pass, record_fact
from sla_monitor.domain.policies import Inputs
from sla_monitor.repository import ClockRef, SlaRepository

# A lead that a consumer is writing just now is looked at again; the consumer's transaction takes a few milliseconds.
BUSY = timedelta(milliseconds=25)
SLICE = 200  # clocks looked at without giving the event loop a turn

LeadEvent = (
    LeadCaptured
    | LeadAssigned
    | LeadReassigned
    | LeadRetained
    | LeadUnassigned
    | LeadNurtured
    | LeadWithheld
    | ActivityRecorded
)


async def on_lead_moved(work: UnitOfWork[SlaRepository], batch: Sequence[Received[LeadEvent]]) -> None:
    """Take the facts of a batch into the leads' files and announce what follows."""
    touch_kinds = work.repo.live_policies.value.touch_kinds
    facts = [(received, fact) for received in batch if (fact := find_fact(received, touch_kinds)) is not None]
    if not facts:
        return
    files = await work.repo.load_files({received.event.lead_id for received, _ in facts})
    rules = await work.repo.get_rules(files.values())
    announced = []
    for received, fact in facts:
        for change in record_fact(files[received.event.lead_id], fact, rules, work.now):
            announced.append(to_event(change))
            work.emit(announced[-1], cause=received)
    await work.repo.save_files(files.values())
    arm_changed(work, files.values())
    metrics.count_changes(announced)
    for file in files.values():
        for clock_id, before in file.changed.items():
            if before is None or before.stop is None:
                metrics.measure_met(file.clocks[clock_id], work.now)


async def on_clock_due(work: UnitOfWork[SlaRepository], due: Sequence[DueTimer]) -> None:
    """Take clocks through the states whose instants have come."""
    running = await work.repo.find_running([ref for timer in due for ref in refs_in(timer)])
    ready: dict[ClockRef, None] = {}
    for timer in due:
        refs = [ref for ref in refs_in(timer) if ref in running]
        if not must_wait(timer, work.now):
            ready.update(dict.fromkeys(refs))
        elif refs:
            metrics.TIMERS_WAITED.inc()
            set_alarm(work, work.now + CATCH_UP, refs, has_waited=True)
    refs = list(ready)
    for start in range(0, len(refs), SLICE):
        await _pass_time(work, refs[start : start + SLICE], is_alone=len(due) == 1)


async def _pass_time(work: UnitOfWork[SlaRepository], refs: Sequence[ClockRef], *, is_alone: bool) -> None:
    try:
        files = await work.repo.load_free_files({lead_id for lead_id, _ in refs})
        rules = await work.repo.get_rules(files.values())
        announced = [
            to_event(change)
            for lead_id, clock_ids in due_clocks(files, refs).items()
            for change in let_time_pass(files[lead_id], clock_ids, rules, work.now)
        ]
    except Exception:
        if not is_alone or len(refs) == 1:
            raise  # the runtime tries timer by timer, and lets one that fails alone wait
        for ref in refs:
            set_alarm(work, work.now, [ref])
        return
    for event in announced:
        work.emit(event)
    await work.repo.save_files(files.values())
    arm_changed(work, files.values())
    set_alarm(work, work.now + BUSY, [ref for ref in refs if ref[0] not in files])
    metrics.count_changes(announced)


def find_fact(received: Received[LeadEvent], touch_kinds: frozenset[str]) -> Fact | None:
    """Return what an event says about the lead's way through sales; None if nothing that is timed."""
    return _FACT_OF[type(received.event)](received, touch_kinds)


def is_timed_ending(event: LeadUnassigned) -> bool:
    """Tell whether the clocks have to know. In the fallback queue the clock of the capture runs on: that is what it
    is for."""
    return event.reason == "consent_withdrawn"


def to_event(change: ClockChange) -> SlaClockChanged:
    """Return the announcement of a change that is in the clock's history."""
    clock, event = change.clock, change.event
    line = next(line for line in reversed(clock.history) if line.state == event.state)
    return SlaClockChanged(
        lead_id=clock.lead_id,
        clock_id=clock.clock_id,
        policy_id=clock.policy_id,
        policy_version=clock.policy_version,
        stage=clock.stage,
        state=event.state,
        started_at=clock.deadline.started_at,
        due_at=clock.deadline.due_at,
        changed_at=event.at,
        action=line.action,
        assignment_id=clock.assignment_id,
        rep_id=clock.rep_id,
    )


def _capture(received: Received[LeadCaptured], _touch_kinds: frozenset[str]) -> Fact:
    event = received.event
    inputs = _inputs(event.origin, country=event.lead.country)
    return Capture(event.origin.record_id, event.origin.received_at, inputs)


def _assigned(received: Received[LeadAssigned], _touch_kinds: frozenset[str]) -> Fact:
    event = received.event
    return _ownership("assigned", event, event.owner.assigned_at, event.lead.country)


def _reassigned(received: Received[LeadReassigned], _touch_kinds: frozenset[str]) -> Fact:
    event = received.event
    return _ownership("reassigned", event, event.owner.assigned_at, event.lead.country)


def _retained(received: Received[LeadRetained], _touch_kinds: frozenset[str]) -> Fact:
    return _ownership("retained", received.event, received.time, None)


def _unassigned(received: Received[LeadUnassigned], _touch_kinds: frozenset[str]) -> Fact | None:
    event = received.event
    if not is_timed_ending(event):
        return None
    return Ending("consent_withdrawn", received.time, event.origin.record_id)


def _nurtured(received: Received[LeadNurtured], _touch_kinds: frozenset[str]) -> Fact:
    return Ending("nurtured", received.time, received.event.origin.record_id)


def _withheld(received: Received[LeadWithheld], _touch_kinds: frozenset[str]) -> Fact:
    event = received.event
    return Ending("withheld", event.verdict.decided_at, event.origin.record_id)


def _touch(received: Received[ActivityRecorded], touch_kinds: frozenset[str]) -> Fact | None:
    event = received.event
    if event.kind not in touch_kinds:
        return None
    # A CRM whose clock is fast must not report a touch in our future.
    return Touch(event.activity_id, event.kind, min(event.occurred_at, received.time))


def _ownership(
    kind: OwnershipKind, event: LeadAssigned | LeadReassigned | LeadRetained, at: datetime, country: str | None
) -> Ownership:
    return Ownership(
        kind=kind,
        at=at,
        record_id=event.origin.record_id,
        received_at=event.origin.received_at,
        assignment_id=event.owner.assignment_id,
        rep_id=event.owner.rep_id,
        inputs=_inputs(event.origin, country=country, score=event.score),
    )


def _inputs(origin: Origin, *, country: str | None, score: Score | None = None) -> Inputs:
    # A captured lead's country is as its sender wrote it: only a code can be matched that early.
    code = country.upper() if country is not None and len(country) == 2 and country.isalpha() else None
    return Inputs(
        source_kind=origin.source_kind,
        source_key=origin.source_key,
        is_new_lead=origin.is_new_lead,
        country=code,
        grade=None if score is None else score.grade,
        is_mql=None if score is None else score.is_mql,
        points=None if score is None else score.points,
    )


# By type: isinstance on message types runs Python's abstract-class machinery for every miss.
_FACT_OF: dict[type[Event], Callable[[Any, frozenset[str]], Fact | None]] = {
    LeadCaptured: _capture,
    LeadAssigned: _assigned,
    LeadReassigned: _reassigned,
    LeadRetained: _retained,
    LeadUnassigned: _unassigned,
    LeadNurtured: _nurtured,
    LeadWithheld: _withheld,
    ActivityRecorded: _touch,
}
HANDLERS: Handlers[SlaRepository] = dict.fromkeys(_FACT_OF, on_lead_moved)
TIMERS: TimerHandlers[SlaRepository] = {TIMER: on_clock_due}
