"""From facts to clocks: whatever the order in which they arrive."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sla_monitor.journey_builders import (
    DOCUMENT,
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

from sla_monitor.domain.clocks import Stop
from sla_monitor.domain.facts import Fact
from sla_monitor.domain.journeys import LeadFile, Rules, let_time_pass, record_fact

RULES = make_rules()
ASSIGN, TOUCH = "record-1.assign", "assignment-1.first_touch"


def play(*facts: Fact, rules: Rules = RULES) -> LeadFile:
    file = make_file()
    for fact in facts:
        record_fact(file, fact, rules, NOON)
    return file


def announced(file: LeadFile, fact: Fact) -> list[tuple[str, str]]:
    return [(change.clock.stage, change.clock.history[-1].state) for change in record_fact(file, fact, RULES, NOON)]


def test_a_capture_starts_the_clock_to_an_owner_at_receipt():
    clock = play(make_capture()).clocks[ASSIGN]
    assert (clock.state, clock.deadline.started_at, clock.deadline.due_at) == ("started", NOON, NOON + 5 * MINUTE)


def test_an_owner_meets_that_clock_and_starts_the_one_to_the_first_touch_at_receipt():
    file = play(make_capture(), make_ownership(minute=2))
    assert file.clocks[ASSIGN].state == "met"
    assert file.clocks[TOUCH].state == "started"
    assert file.clocks[TOUCH].deadline.started_at == NOON
    assert file.clocks[TOUCH].rep_id == "rep-1"


def test_a_policy_may_count_from_the_assignment_instead():
    us = make_inputs(country="US")
    clock = play(make_capture(), make_ownership(minute=2, inputs=us)).clocks[TOUCH]
    assert (clock.policy_id, clock.deadline.started_at) == ("touch_us", NOON + 2 * MINUTE)


def test_the_first_touch_in_time_meets_its_clock():
    clock = play(make_capture(), make_ownership(), make_touch(30)).clocks[TOUCH]
    assert (clock.state, clock.stop) == ("met", Stop(NOON + 30 * MINUTE, True, "first_touch", "activity-30"))


def test_the_earliest_of_several_touches_counts_even_if_it_is_reported_last():
    clock = play(make_capture(), make_ownership(), make_touch(70), make_touch(30)).clocks[TOUCH]
    assert (clock.state, clock.stop) == ("met", Stop(NOON + 30 * MINUTE, True, "first_touch", "activity-30"))


def test_a_touch_from_before_the_submission_meets_nothing():
    assert play(make_touch(-10), make_capture(), make_ownership()).clocks[TOUCH].state == "started"


def test_an_activity_that_the_stage_does_not_name_meets_nothing():
    assert play(make_capture(), make_ownership(), make_touch(5, kind="email_open")).clocks[TOUCH].is_open


def test_a_lead_for_nurture_ends_the_clock_without_a_verdict():
    assert play(make_capture(), make_ending("nurtured", 1)).clocks[ASSIGN].state == "cancelled"


def test_a_withheld_lead_ends_the_clock_without_a_verdict():
    clock = play(make_capture(), make_ending("withheld", 1)).clocks[ASSIGN]
    assert (clock.state, clock.stop) == ("cancelled", Stop(NOON + MINUTE, False, "withheld"))


def test_withdrawn_consent_cancels_the_first_touch():
    file = play(make_capture(), make_ownership(), make_ending("consent_withdrawn", 10))
    assert file.clocks[ASSIGN].state == "met"
    assert file.clocks[TOUCH].state == "cancelled"


def test_a_new_owner_gets_a_clock_of_his_own_from_the_moment_he_is_named():
    other = make_ownership("reassigned", 61, assignment_id="assignment-2", rep_id="rep-2")
    file = play(make_capture(), make_ownership())
    let_time_pass(file, [TOUCH], RULES, NOON + 60 * MINUTE)
    record_fact(file, other, RULES, NOON)
    second = file.clocks["assignment-2.first_touch"]
    assert file.clocks[TOUCH].state == "breached"
    assert not file.clocks[TOUCH].is_open
    assert (second.deadline.started_at, second.rep_id, second.reassignments) == (other.at, "rep-2", 1)


def test_a_touch_before_the_reassignment_does_not_count_for_the_new_owner():
    other = make_ownership("reassigned", 61, assignment_id="assignment-2")
    file = play(make_capture(), make_ownership(), other, make_touch(59))
    assert file.clocks[TOUCH].state == "met"
    assert file.clocks["assignment-2.first_touch"].state == "started"


def test_the_last_allowed_reassignment_is_followed_by_a_notification():
    owners = [
        make_ownership("reassigned", 61, assignment_id="assignment-2"),
        make_ownership("reassigned", 122, assignment_id="assignment-3"),
    ]
    file = play(make_capture(), make_ownership(), *owners)
    changes = let_time_pass(file, ["assignment-3.first_touch"], RULES, NOON + 200 * MINUTE)
    assert [line.action for line in changes[-1].clock.history] == ["none", "notify", "notify"]


def test_a_lead_that_an_activity_brought_out_of_nurture_is_timed_from_its_assignment():
    file = play(make_capture(), make_ending("nurtured", 1), make_ownership(minute=3000))
    assert file.clocks[TOUCH].deadline.started_at == NOON + 3000 * MINUTE
    assert file.clocks[ASSIGN].state == "cancelled"


def test_a_repeated_submission_while_the_first_one_waits_starts_no_second_clock():
    again = make_ownership("retained", 20, record_id="record-2", received_at=NOON + 19 * MINUTE)
    file = play(make_capture(), make_ownership(), make_capture("record-2", NOON + 19 * MINUTE), again)
    assert "record-2.first_touch" not in file.clocks
    assert file.clocks["record-2.assign"].state == "met"


def test_a_repeated_submission_after_the_answer_asks_for_a_new_one():
    again = make_ownership("retained", 20, record_id="record-2", received_at=NOON + 19 * MINUTE)
    file = play(make_capture(), make_ownership(), make_touch(10), again)
    clock = file.clocks["record-2.first_touch"]
    assert (clock.state, clock.deadline.started_at) == ("started", NOON + 19 * MINUTE)


def test_a_repeated_submission_is_timed_by_the_country_its_lead_is_known_to_have():
    unknown = make_inputs(country=None, grade="A", is_mql=True, points=75.0)
    us = make_ownership(inputs=make_inputs(country="US"))
    again = make_ownership("retained", 20, record_id="record-2", received_at=NOON + 19 * MINUTE, inputs=unknown)
    file = play(make_capture(), us, make_touch(10), again)
    assert file.clocks["record-2.first_touch"].policy_id == "touch_us"


def test_scoring_an_owned_lead_again_starts_nothing():
    again = make_ownership("retained", 500)
    assert set(play(make_capture(), make_ownership(), make_touch(10), again).clocks) == {ASSIGN, TOUCH}


def test_a_known_fact_changes_nothing():
    file = play(make_capture(), make_ownership(), make_touch(10))
    for fact in (make_capture(), make_ownership(), make_touch(10)):
        assert record_fact(file, fact, RULES, NOON) == []


def test_a_lead_whose_stage_has_no_policy_is_not_timed():
    document = {**DOCUMENT, "policies": DOCUMENT["policies"][:1]}
    assert set(play(make_capture(), make_ownership(), rules=make_rules(document)).clocks) == {ASSIGN}


def test_running_clocks_keep_the_policy_version_they_started_under():
    first = play(make_capture(), make_ownership())
    newer = make_rules({**DOCUMENT, "policies": DOCUMENT["policies"][:1]})
    both = Rules("2", {"1": RULES.live, "2": newer.live})
    record_fact(first, make_touch(10), both, NOON)
    assert (first.clocks[TOUCH].state, first.clocks[TOUCH].policy_version) == ("met", "1")


def test_a_policy_that_comes_later_does_not_start_clocks_for_old_assignments():
    nothing = make_rules({**DOCUMENT, "policies": []})
    file = play(make_ownership(), rules=nothing)
    record_fact(file, make_touch(10), Rules("2", {"1": nothing.live, "2": RULES.live}), NOON)
    assert file.clocks == {}


def test_a_further_stage_needs_only_a_line_in_the_document():
    accept = {"id": "accept", "starts_with": "owner", "met_by": ["accepted"]}
    policy = {"id": "accept_any", "stage": "accept", "calendar": "always", "target": "48h"}
    document = {
        **DOCUMENT,
        "stages": [*DOCUMENT["stages"], accept],
        "policies": [*DOCUMENT["policies"], policy],
    }
    file = play(make_capture(), make_ownership(), make_touch(90, kind="accepted"), rules=make_rules(document))
    assert file.clocks["assignment-1.accept"].state == "met"
    assert file.clocks[TOUCH].state == "breached"


def test_everything_is_announced_in_order_even_if_the_capture_comes_last():
    file = make_file()
    assert announced(file, make_touch(10)) == []
    assert announced(file, make_ownership()) == [("first_touch", "started"), ("first_touch", "met")]
    assert announced(file, make_capture()) == [("assign", "started"), ("assign", "met")]


def test_a_form_sent_ten_thousand_times_does_not_grow_the_journey_without_end():
    file = make_file()
    for number in range(300):
        record_fact(file, make_touch(number), RULES, NOON)
    assert len(file.journey.touches) == 50


def outcome(file: LeadFile) -> dict[str, Any]:
    return {
        clock_id: (clock.state, clock.stop, clock.deadline, clock.policy_id, clock.reassignments, clock.inputs)
        for clock_id, clock in file.clocks.items()
    }


@st.composite
def interleaved(draw, *topics: Sequence[Fact]):
    """Return the facts of all topics in an order that keeps each topic's own."""
    waiting = [list(topic) for topic in topics if topic]
    order = []
    while waiting:
        topic = draw(st.sampled_from(waiting))
        order.append(topic.pop(0))
        waiting = [left for left in waiting if left]
    return order


CAPTURED = [make_capture(), make_capture("record-2", NOON + 90 * MINUTE)]
MOVED = [
    make_ownership(minute=1),
    make_ownership("reassigned", 61, assignment_id="assignment-2", rep_id="rep-2"),
    make_ownership("retained", 91, record_id="record-2", received_at=NOON + 90 * MINUTE, assignment_id="assignment-2"),
]
MINUTES = st.lists(st.integers(-5, 200), max_size=4, unique=True)


@settings(max_examples=100, deadline=None)
@given(st.data(), MINUTES, st.sampled_from([[], [make_ending("consent_withdrawn", 130)]]))
def test_the_order_in_which_topics_deliver_changes_no_clock(data, minutes, endings):
    touches = [make_touch(minute) for minute in minutes]
    routed = [*MOVED, *endings]
    in_order = play(*CAPTURED, *routed, *touches)
    mixed = play(*data.draw(interleaved(CAPTURED, routed, touches)))
    assert outcome(mixed) == outcome(in_order)


@settings(max_examples=100, deadline=None)
@given(st.data(), MINUTES)
def test_a_withheld_lead_that_is_cleared_later_ends_the_same_in_any_order(data, minutes):
    withheld = [make_ending("withheld", 0.5)]
    routed = [make_ownership(minute=40)]
    touches = [make_touch(minute) for minute in minutes]
    in_order = play(make_capture(), *withheld, *routed, *touches)
    mixed = play(*data.draw(interleaved([make_capture()], withheld, routed, touches)))
    assert outcome(mixed) == outcome(in_order)


@settings(max_examples=60, deadline=None)
@given(st.data(), MINUTES, st.lists(st.integers(0, 300), max_size=3).map(sorted))
def test_timers_that_fire_in_between_change_no_verdict(data, minutes, looks):
    touches = [make_touch(minute) for minute in minutes]
    facts = data.draw(interleaved([make_capture()], [make_ownership()], touches))
    undisturbed = play(*facts)
    disturbed = make_file()
    for number, fact in enumerate(facts):
        record_fact(disturbed, fact, RULES, NOON)
        for look in looks[number : number + 1]:
            let_time_pass(disturbed, list(disturbed.clocks), RULES, NOON + look * MINUTE)
    last = NOON + 1000 * MINUTE
    for file in (undisturbed, disturbed):
        let_time_pass(file, list(file.clocks), RULES, last)
    assert outcome(disturbed) == outcome(undisturbed)


@pytest.mark.parametrize("kind", ["first_touch", "meeting", "accepted"])
def test_every_activity_that_the_stage_names_meets_it(kind):
    assert play(make_capture(), make_ownership(), make_touch(5, kind=kind)).clocks[TOUCH].state == "met"
