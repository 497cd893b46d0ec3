"""Events and timers in, clock changes out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, assert_never

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
from shared.runtime.metrics import SPEED_TO_LEAD
from sla_monitor import metrics
from sla_monitor.domain.clocks import Clock, ClockEvent, next_instant, state_of
from sla_monitor.domain.journeys import (
    Capture,
    ClockChange,
    Ending,
    Fact,
    LeadFile,
    Ownership,
    Touch,
    let_time_pass,
    record_fact,
)
from sla_monitor.domain.policies import Inputs
from sla_monitor.repository import SlaRepository

TIMER = "clock"
# A timer later than this means that the service was down. What stopped the clock meanwhile may still wait in a topic,
# and a breach announced too early takes the lead from a rep who did call: let the consumers catch up once.
CATCH_UP = timedelta(seconds=5)
# A lead that a consumer is writing just now is looked at again; the consumer's transaction takes a few milliseconds.
BUSY = timedelta(milliseconds=25)

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
    for received, fact in facts:
        for change in record_fact(files[received.event.lead_id], fact, rules, work.now):
            announce(work, change, cause=received)
    await work.repo.save_files(files.values())
    for file in files.values():
        arm_timers(work, file)


async def on_clock_due(work: UnitOfWork[SlaRepository], due: Sequence[DueTimer]) -> None:
    """Take clocks through the states whose instants have come."""
    ready: list[DueTimer] = []
    for timer in due:
        if timer.payload.get("has_waited") or work.now - timer.due_at <= CATCH_UP:
            ready.append(timer)
        else:
            metrics.TIMERS_WAITED.inc()
            work.set_timer(TIMER, timer.key, work.now + CATCH_UP, {**timer.payload, "has_waited": True})
    files = await work.repo.load_free_files({timer.payload["lead_id"] for timer in ready})
    rules = await work.repo.get_rules(files.values())
    for timer in ready:
        file = files.get(timer.payload["lead_id"])
        if file is None:
            work.set_timer(TIMER, timer.key, work.now + BUSY, timer.payload)
            continue
        for change in let_time_pass(file, [timer.key], rules, work.now):
            announce(work, change)
        clock = file.clocks.get(timer.key)
        if clock is not None and (instant := next_instant(clock)) is not None:
            work.set_timer(TIMER, timer.key, instant, {"lead_id": file.lead_id})
    await work.repo.save_files(files.values())


def find_fact(received: Received[LeadEvent], touch_kinds: frozenset[str]) -> Fact | None:
    """Return what an event says about the lead's way through sales; None if nothing that is timed."""
    event = received.event
    match event:
        case LeadCaptured():
            inputs = _inputs(event.origin, country=event.lead.country)
            return Capture(event.origin.record_id, event.origin.received_at, inputs)
        case LeadAssigned():
            return _ownership("assigned", event, event.owner.assigned_at)
        case LeadReassigned():
            return _ownership("reassigned", event, event.owner.assigned_at)
        case LeadRetained():
            return _ownership("retained", event, received.time)
        case LeadUnassigned():
            if event.reason == "consent_withdrawn":
                return Ending("consent_withdrawn", received.time, event.origin.record_id)
            return None  # it waits in the fallback queue: the clock of the capture runs on, that is what it is for
        case LeadNurtured():
            return Ending("nurtured", received.time, event.origin.record_id)
        case LeadWithheld():
            return Ending("withheld", event.verdict.decided_at, event.origin.record_id)
        case ActivityRecorded():
            if event.kind not in touch_kinds:
                return None
            # A CRM whose clock is fast must not report a touch in our future.
            return Touch(event.activity_id, event.kind, min(event.occurred_at, received.time))
        case _:
            assert_never(event)


def announce(work: UnitOfWork[SlaRepository], change: ClockChange, cause: Received[Any] | None = None) -> None:
    """Emit a clock's change and count it."""
    event = to_event(change.clock, change.event)
    work.emit(event, cause=cause)
    metrics.CLOCK_CHANGES.labels(event.stage, event.policy_id, event.state).inc()
    if event.action != "none":
        metrics.ACTIONS.labels(event.stage, event.action).inc()


def to_event(clock: Clock, event: ClockEvent) -> SlaClockChanged:
    """Return the announcement of a change that is in the clock's history."""
    state = state_of(event)
    line = next(line for line in reversed(clock.history) if line.state == state)
    return SlaClockChanged(
        lead_id=clock.lead_id,
        clock_id=clock.clock_id,
        policy_id=clock.policy_id,
        policy_version=clock.policy_version,
        stage=clock.stage,
        state=state,
        started_at=clock.deadline.started_at,
        due_at=clock.deadline.due_at,
        changed_at=event.at,
        action=line.action,
        assignment_id=clock.assignment_id,
        rep_id=clock.rep_id,
    )


def arm_timers(work: UnitOfWork[SlaRepository], file: LeadFile) -> None:
    """Set, move or cancel the timer of each clock that changed; measure those that were met."""
    for clock_id, before in file.changed.items():
        clock = file.clocks[clock_id]
        instant = next_instant(clock)
        armed = None if before is None else next_instant(before)
        if instant is None:
            if armed is not None:
                work.cancel_timer(TIMER, clock_id)
        elif instant == armed:
            pass
        elif instant > work.now:
            work.set_timer(TIMER, clock_id, instant, {"lead_id": file.lead_id})
        else:
            work.set_timer(TIMER, clock_id, work.now + CATCH_UP, {"lead_id": file.lead_id, "has_waited": True})
        if before is None or before.stop is None:
            _measure(clock, work.now)


def _measure(clock: Clock, now: datetime) -> None:
    if clock.stop is None or not clock.stop.is_met:
        return
    if clock.stage == "first_touch":
        SPEED_TO_LEAD.labels("first_touch").observe(max(0.0, (clock.stop.at - clock.received_at).total_seconds()))
    whole = (clock.deadline.due_at - clock.deadline.started_at).total_seconds()
    left = (clock.deadline.due_at - min(clock.stop.at, now)).total_seconds()
    metrics.TIME_LEFT.labels(clock.stage).observe(left / whole)


def _ownership(kind: Any, event: LeadAssigned | LeadReassigned | LeadRetained, at: datetime) -> Ownership:
    country = None if isinstance(event, LeadRetained) else event.lead.country
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


_TIMED: tuple[type[Event], ...] = (
    LeadCaptured,
    LeadAssigned,
    LeadReassigned,
    LeadRetained,
    LeadUnassigned,
    LeadNurtured,
    LeadWithheld,
    ActivityRecorded,
)
HANDLERS: Handlers[SlaRepository] = dict.fromkeys(_TIMED, on_lead_moved)
TIMERS: TimerHandlers[SlaRepository] = {TIMER: on_clock_due}
