"""One clock: which states it goes through, and what is asked for."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sla_monitor.journey_builders import MINUTE, NOON, make_inputs, make_rules

from sla_monitor.domain.clocks import (
    Clock,
    Stop,
    apply_changes,
    decide_action,
    decide_changes,
    next_instant,
)
from sla_monitor.domain.policies import Deadline, plan_deadline

RULES = make_rules()
POLICY = RULES.live.policies[-1]


def make_clock(**fields) -> Clock:
    values = {
        "clock_id": "assignment-1.first_touch",
        "lead_id": "lead-1",
        "stage": "first_touch",
        "anchor_id": "assignment-1",
        "record_id": "record-1",
        "policy_id": "touch_any",
        "policy_version": "1",
        "inputs": make_inputs(),
        "deadline": plan_deadline(POLICY, NOON),
        "floor": NOON,
        "received_at": NOON,
        "assignment_id": "assignment-1",
        "rep_id": "rep-1",
    }
    return Clock(**{**values, **fields})


def states(clock: Clock, *, stop: Stop | None = None, until: float | None = None) -> list[str]:
    instant = None if until is None else NOON + until * MINUTE
    return [event.state for event in decide_changes(clock, stop, instant)]


def met(minute: float) -> Stop:
    return Stop(NOON + minute * MINUTE, is_met=True, by="first_touch")


def cancelled(minute: float) -> Stop:
    return Stop(NOON + minute * MINUTE, is_met=False, by="reassigned")


@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        (0, []),
        (44.9, []),
        (45, ["at_risk"]),
        (59.9, ["at_risk"]),
        (60, ["at_risk", "breached"]),
        (120, ["at_risk", "breached", "escalated"]),
        (10_000, ["at_risk", "breached", "escalated"]),
    ],
)
def test_time_leads_through_the_states_in_order_however_late_it_is_looked_at(minute, expected):
    assert states(make_clock(), until=minute) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [("started", ["at_risk", "breached"]), ("at_risk", ["breached"]), ("breached", []), ("escalated", [])],
)
def test_what_was_announced_is_not_announced_again(state, expected):
    assert states(make_clock(state=state), until=60) == expected


@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        (10, ["met"]),
        (50, ["at_risk", "met"]),
        (60, ["at_risk", "met"]),
        (60.1, ["at_risk", "breached"]),
        (200, ["at_risk", "breached", "escalated"]),
    ],
)
def test_a_touch_meets_the_clock_up_to_the_deadline_and_breaches_it_after(minute, expected):
    assert states(make_clock(), stop=met(minute)) == expected


def test_a_touch_made_in_time_but_reported_late_turns_the_breach_into_met():
    assert states(make_clock(state="breached"), stop=met(59)) == ["met"]


def test_a_late_touch_leaves_a_breach_a_breach():
    assert states(make_clock(state="breached"), stop=met(61)) == []


def test_a_touch_before_the_escalation_takes_the_escalation_back():
    assert states(make_clock(state="escalated"), stop=met(90)) == ["breached"]


def test_a_cancellation_after_the_deadline_does_not_hide_the_breach():
    assert states(make_clock(state="at_risk"), stop=cancelled(61)) == ["breached"]


def test_a_cancellation_in_time_ends_the_clock_without_a_verdict():
    assert states(make_clock(), stop=cancelled(10)) == ["cancelled"]


def test_a_handler_does_not_let_time_pass():
    assert states(make_clock(), until=None) == []


@settings(max_examples=100)
@given(
    st.integers(0, 200),
    st.booleans(),
    st.lists(st.integers(0, 200), max_size=4).map(sorted),
)
def test_the_final_state_does_not_depend_on_when_timers_looked(minute, is_met, looks):
    stop = Stop(NOON + minute * MINUTE, is_met=is_met, by="x")
    directly = apply_changes(make_clock(), decide_changes(make_clock(), stop, None), POLICY, NOON)
    looked_at = make_clock()
    for look in looks:
        at = NOON + look * MINUTE
        looked_at = apply_changes(looked_at, decide_changes(looked_at, None, at), POLICY, at)
    looked_at = apply_changes(looked_at, decide_changes(looked_at, stop, None), POLICY, NOON)
    assert looked_at.state == directly.state


@settings(max_examples=100)
@given(st.lists(st.integers(0, 200), max_size=6).map(sorted))
def test_looking_often_announces_exactly_what_looking_once_announces(looks):
    clock = make_clock()
    announced = []
    for look in looks:
        at = NOON + look * MINUTE
        events = decide_changes(clock, None, at)
        announced += events
        clock = apply_changes(clock, events, POLICY, at)
    assert announced == (decide_changes(make_clock(), None, NOON + looks[-1] * MINUTE) if looks else [])


@pytest.mark.parametrize(
    ("state", "minute"), [("started", 45), ("at_risk", 60), ("breached", 120), ("escalated", None), ("met", None)]
)
def test_each_state_names_the_next_instant(state, minute):
    expected = None if minute is None else NOON + minute * MINUTE
    assert next_instant(make_clock(state=state)) == expected


def test_a_stopped_clock_waits_for_nothing():
    assert next_instant(make_clock(state="breached", stop=met(70))) is None


def test_a_policy_without_escalation_ends_with_the_breach():
    deadline = Deadline(NOON, NOON + 45 * MINUTE, NOON + 60 * MINUTE)
    assert states(make_clock(deadline=deadline), until=10_000) == ["at_risk", "breached"]
    assert next_instant(make_clock(deadline=deadline, state="breached")) is None


def action(clock: Clock, minute: float) -> str:
    last = decide_changes(clock, clock.stop, NOON + minute * MINUTE)[-1]
    return decide_action(clock, last, POLICY)


def test_a_breach_reassigns_until_the_policy_says_enough():
    assert action(make_clock(reassignments=0), 60) == "reassign"
    assert action(make_clock(reassignments=1), 60) == "reassign"
    assert action(make_clock(reassignments=2), 60) == "notify"


def test_a_breach_without_an_owner_only_notifies():
    assert action(make_clock(assignment_id=None), 60) == "notify"


def test_a_breach_that_is_known_only_because_of_the_late_touch_asks_for_nothing():
    assert action(make_clock(stop=met(61)), 0) == "none"


def test_a_clock_at_risk_and_an_escalation_notify():
    assert action(make_clock(), 45) == "notify"
    assert action(make_clock(state="breached"), 120) == "notify"


def test_a_stored_clock_reproduces_its_deadline_from_policy_version_and_start():
    clock = make_clock()
    policy = RULES.find_policy(clock)
    assert policy is not None
    assert plan_deadline(policy, clock.deadline.started_at) == clock.deadline
    assert clock.deadline.due_at - clock.deadline.started_at == timedelta(hours=1)
