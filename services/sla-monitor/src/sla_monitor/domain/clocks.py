"""A clock: one running deadline of one lead, as a state machine of pure functions.

The state follows from three things only: the deadline, how the clock was stopped (if it was), and how far time was
looked at. Events that arrive late or in another order therefore lead to the same state: a touch made in time turns
a breach that was already announced back into "met".
"""

from datetime import datetime
from typing import Literal, assert_never

import msgspec

from sla_monitor.domain.policies import Deadline, Inputs, Policy

State = Literal["started", "at_risk", "met", "breached", "escalated", "cancelled"]
Action = Literal["none", "notify", "reassign"]

_RUNNING: tuple[State, ...] = ("started", "at_risk", "breached", "escalated")


class Stop(msgspec.Struct, frozen=True, array_like=True):
    """What ended a clock, and when: an activity, an owner, or a reason for which nothing is left to do."""

    at: datetime
    is_met: bool
    by: str
    ref: str = ""

    @property
    def rank(self) -> tuple[datetime, bool, str, str]:
        """Return the order among several stops: the earliest counts; at the same instant, done beats cancelled."""
        return self.at, not self.is_met, self.by, self.ref


class Change(msgspec.Struct, frozen=True):
    """A line of a clock's history: it is in ``state`` since ``at``, which was noticed at ``seen_at``."""

    state: State
    at: datetime
    seen_at: datetime
    action: Action = "none"


class Clock(msgspec.Struct, frozen=True):
    """``anchor_id``: the record (capture stages, repeated submissions) or assignment that started it.

    ``number``: which of its lead's clocks it is, in the order in which they became known. ``floor``: what happened
    before it does not stop this clock. ``reassignments``: how often the lead had changed owner when it started.
    ``policy_version`` and ``inputs`` reproduce ``deadline``.
    """

    clock_id: str
    lead_id: str
    stage: str
    anchor_id: str
    record_id: str
    policy_id: str
    policy_version: str
    inputs: Inputs
    deadline: Deadline
    floor: datetime
    received_at: datetime
    state: State = "started"
    stop: Stop | None = None
    history: tuple[Change, ...] = ()
    assignment_id: str | None = None
    rep_id: str | None = None
    reassignments: int = 0
    number: int = 0

    @property
    def is_open(self) -> bool:
        """Tell whether something still has to happen. A breached clock stays open until it is touched or replaced."""
        return self.stop is None

    @property
    def is_met_in_time(self) -> bool:
        """Tell whether what the policy asks for happened by the deadline."""
        return self.state == "met"


class ClockEvent(msgspec.Struct, frozen=True):
    """The clock is in ``state`` since ``at``. "started" again: a late event moved its start.

    ``is_over``: of a breach or an escalation, that what was due has happened since, or that the clock was replaced.
    """

    state: State
    at: datetime
    is_over: bool = False


def next_instant(clock: Clock) -> datetime | None:
    """Return when the clock changes by itself next; None if it does not."""
    if clock.stop is not None:
        return None
    match clock.state:
        case "started":
            return clock.deadline.at_risk_at
        case "at_risk":
            return clock.deadline.due_at
        case "breached":
            return clock.deadline.escalate_at
        case "escalated" | "met" | "cancelled":
            return None
        case _:
            assert_never(clock.state)


def decide_changes(clock: Clock, stop: Stop | None, until: datetime | None) -> list[ClockEvent]:
    """Return what has to be announced of *clock*, in order.

    *stop*: the earliest thing known to stop it. *until*: time looked at so far; None = do not let time pass. A handler
    gives None: what was missed while the service was down may still be waiting in a topic.
    """
    reached = _reached(clock.deadline, stop, until)
    if stop is None:
        before = _RUNNING.index(clock.state) if clock.state in _RUNNING else -1
        return [_timed(clock.deadline, state, is_over=False) for state in reached if _RUNNING.index(state) > before]
    if "breached" in reached:
        final = _timed(clock.deadline, reached[-1], is_over=True)
    else:
        final = ClockEvent("met" if stop.is_met else "cancelled", stop.at)
    if final.state == clock.state:
        return []
    passed = [_timed(clock.deadline, state, is_over=True) for state in reached if state != final.state]
    if clock.state not in _RUNNING:
        return [final]
    before = _RUNNING.index(clock.state)
    return [event for event in passed if _RUNNING.index(event.state) > before] + [final]


def decide_action(clock: Clock, event: ClockEvent, policy: Policy | None) -> Action:
    """Return what the policy wants done about *event*. Nothing, once what was due has happened."""
    match event.state:
        case "started" | "met" | "cancelled":
            return "none"
        case "at_risk":
            return "notify" if clock.is_open else "none"
        case "escalated":
            return "none" if event.is_over else "notify"
        case "breached":
            if event.is_over:
                return "none"
            may_move = policy is not None and policy.on_breach == "reassign" and clock.assignment_id is not None
            if may_move and policy is not None and clock.reassignments < policy.max_reassignments:
                return "reassign"
            return "notify"
        case _:
            assert_never(event.state)


def apply_changes(clock: Clock, events: list[ClockEvent], policy: Policy | None, now: datetime) -> Clock:
    """Return *clock* after *events*, with a line of history for each."""
    if not events:
        return clock
    lines = tuple([Change(event.state, event.at, now, decide_action(clock, event, policy)) for event in events])
    return msgspec.structs.replace(clock, state=lines[-1].state, history=clock.history + lines)


def _reached(deadline: Deadline, stop: Stop | None, until: datetime | None) -> list[State]:
    """Return the states that time alone brought about. Met exactly at the deadline is in time."""
    latest = until if stop is None else stop.at
    if latest is None or latest < deadline.at_risk_at:
        return []
    instants: list[tuple[State, datetime | None]] = [
        ("at_risk", deadline.at_risk_at),
        ("breached", deadline.due_at),
        ("escalated", deadline.escalate_at),
    ]
    if stop is not None:
        return [state for state, at in instants if at is not None and at < stop.at]
    return [state for state, at in instants if at is not None and until is not None and at <= until]


def _timed(deadline: Deadline, state: State, *, is_over: bool) -> ClockEvent:
    match state:
        case "at_risk":
            return ClockEvent(state, deadline.at_risk_at)
        case "breached":
            return ClockEvent(state, deadline.due_at, is_over)
        case "escalated":
            return ClockEvent(state, deadline.escalate_at or deadline.due_at, is_over)
        case _:
            message = f"time alone does not lead to {state}"
            raise AssertionError(message)
