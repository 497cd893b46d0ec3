"""When a lead becomes an MQL, when it stops being one, and that it does not flap."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.domain.activity import Activity
from scoring.domain.decision import LeadState, Profile, mql_ends_at, on_activity, on_decay, on_submission
from scoring.domain.model import Grade, ScoringModel
from scoring.model_document import default_model_text, parse_model
from shared.contracts import ActivityKind, Facts, Lead, Origin, Seniority

MODEL: ScoringModel = parse_model(default_model_text())
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def make_profile(seniority: Seniority = "vp", employees: int | None = None) -> Profile:
    origin = Origin(
        submission_id="s", record_id="r", source_key="demo", source_kind="web_form", received_at=NOW, is_new_lead=True
    )
    return Profile(origin=origin, lead=Lead(employees=employees), facts=Facts(seniority=seniority))


def make_activity(kind: ActivityKind = "demo_request", at: datetime = NOW) -> Activity:
    return Activity(activity_id=f"{kind}-{at}", kind=kind, occurred_at=at, known_at=at)


def test_a_demo_request_of_a_vp_makes_an_mql() -> None:
    state = LeadState("lead")
    decision = on_submission(MODEL, "1", state, make_profile(), [make_activity()], NOW)
    assert (decision.turned_mql, decision.score.is_mql, decision.score.points) == (True, True, 52.0)


def test_a_demo_request_of_an_unknown_person_does_not() -> None:
    state = LeadState("lead")
    decision = on_submission(MODEL, "1", state, make_profile("unknown"), [make_activity()], NOW)
    assert (decision.turned_mql, decision.score.is_mql, decision.score.grade) == (None, False, "D")


def test_an_mql_that_scores_again_does_not_cross_again() -> None:
    state = LeadState("lead")
    on_submission(MODEL, "1", state, make_profile(), [make_activity()], NOW)
    decision = on_activity(MODEL, "1", state, make_activity("website_visit"), NOW)
    assert decision is not None
    assert (decision.turned_mql, decision.score.is_mql, decision.trigger) == (None, True, "activity")


def test_an_activity_of_an_unknown_lead_is_kept_and_counts_when_the_lead_arrives() -> None:
    state = LeadState("lead")
    assert on_activity(MODEL, "1", state, make_activity(), NOW) is None
    assert on_submission(MODEL, "1", state, make_profile(), [], NOW).score.engagement == 30.0


def test_what_the_model_does_not_count_decides_nothing() -> None:
    state = LeadState("lead", make_profile())
    assert on_activity(MODEL, "1", state, make_activity("won"), NOW) is None


def test_decay_ends_an_mql_exactly_when_the_timer_is_due() -> None:
    state = LeadState("lead")
    first = on_submission(MODEL, "1", state, make_profile(), [make_activity()], NOW)
    due_at = mql_ends_at(MODEL, state, first.result, NOW)
    assert due_at is not None
    assert on_decay(MODEL, "1", state, due_at - timedelta(milliseconds=1)) is None
    decision = on_decay(MODEL, "1", state, due_at)
    assert decision is not None
    assert (decision.turned_mql, decision.score.is_mql, decision.trigger) == (False, False, "decay")
    assert mql_ends_at(MODEL, state, decision.result, due_at) is None


def test_an_mql_whose_fit_alone_is_above_the_limit_has_no_end() -> None:
    state = LeadState("lead")
    decision = on_submission(MODEL, "1", state, make_profile("c_level", employees=5000), [make_activity()], NOW)
    assert (decision.result.fit, mql_ends_at(MODEL, state, decision.result, NOW)) == (4500, None)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), st.sampled_from(["A", "B", "C"]))
@settings(max_examples=100, deadline=None)
def test_between_two_changes_of_the_mql_state_the_score_moved_by_the_hysteresis(
    points: list[int], grade: Grade
) -> None:
    state = False
    changed_at: int | None = None
    moves: list[int] = []
    for each in points:
        now = MODEL.is_qualified(each, grade, was_qualified=state)
        moves += [abs(each - changed_at)] if now != state and changed_at is not None else []
        changed_at = each if now != state else changed_at
        state = now
    assert all(move > 500 for move in moves)


@pytest.mark.parametrize("version", ["1", "17"])
def test_a_decision_names_the_version_of_the_model_and_the_instant(version: str) -> None:
    decision = on_submission(MODEL, version, LeadState("lead"), make_profile(), [], NOW)
    assert (decision.score.model_version, decision.score.scored_at) == (version, NOW)
