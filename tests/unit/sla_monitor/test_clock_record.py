"""A clock stored and read back is the same clock, and takes few bytes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sla_monitor.journey_builders import (
    MINUTE,
    NOON,
    make_capture,
    make_ending,
    make_file,
    make_inputs,
    make_ownership,
    make_rules,
    make_touch,
)

from sla_monitor.clock_record import clock_of, pack_detail
from sla_monitor.domain.clocks import Clock
from sla_monitor.domain.facts import Fact
from sla_monitor.domain.journeys import LeadFile, let_time_pass, record_fact

RULES = make_rules()
FACTS: list[Fact] = [
    make_capture(),
    make_ownership(minute=2),
    make_ownership(minute=2, inputs=make_inputs(country="US")),
    make_ownership("reassigned", 61, assignment_id="assignment-2", rep_id="rep-2"),
    make_ownership("retained", 91, record_id="record-2", received_at=NOON + 90 * MINUTE),
    make_ending("withheld", 0.5),
    make_ending("nurtured", 1),
    make_ending("consent_withdrawn", 130),
    make_touch(30),
    make_touch(100),
]


def stored(clock: Clock) -> list[Any]:
    """Return the row's columns, as the database would give them back."""
    deadline = clock.deadline
    return [
        clock.number,
        clock.clock_id,
        clock.stage,
        clock.policy_id,
        clock.policy_version,
        clock.state,
        deadline.started_at,
        deadline.due_at,
        clock.rep_id,
        pack_detail(clock),
    ]


def lived(facts: list[Fact], looks: list[int]) -> LeadFile:
    file = make_file()
    for fact in facts:
        record_fact(file, fact, RULES, NOON)
    for look in looks:
        let_time_pass(file, list(file.clocks), RULES, NOON + look * MINUTE)
    return file


@settings(max_examples=100, deadline=None)
@given(st.permutations(FACTS), st.integers(0, len(FACTS)), st.lists(st.integers(0, 300), max_size=3).map(sorted))
def test_a_clock_survives_being_stored_whatever_it_went_through(facts, count, looks):
    for clock in lived(facts[:count], looks).clocks.values():
        assert clock_of(clock.lead_id, stored(clock)) == clock


def test_the_clocks_of_a_lead_are_numbered_and_no_number_is_given_twice():
    clocks = lived([make_capture(), *FACTS[1:5], make_touch(95)], []).clocks.values()
    assert sorted(clock.number for clock in clocks) == list(range(1, len(clocks) + 1))


@pytest.mark.parametrize(("facts", "at_most"), [(FACTS[:1], 80), (FACTS[:2], 130)])
def test_what_no_column_holds_is_a_few_bytes(facts, at_most):
    assert all(len(pack_detail(clock)) <= at_most for clock in lived(facts, []).clocks.values())
