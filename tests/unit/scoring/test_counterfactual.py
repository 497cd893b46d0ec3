"""A counterfactual is no estimate: what it names reaches the goal when it is scored, and one step fewer does not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scoring.random_models import NOW, facts_of_leads, histories, leads, models

from scoring.domain.activity import Activity
from scoring.domain.counterfactual import (
    MOST_OPTIONS,
    Counterfactuals,
    Prospect,
    Suggestion,
    find_counterfactuals,
)
from scoring.domain.model import ScoringModel, Signal
from scoring.domain.score import ScoreResult, score_lead
from scoring.domain.what_if import Case, Trial, occurrences_of
from scoring.model_document import default_model_text, parse_model
from shared.contracts import ActivityKind, Facts, Lead

DEFAULT = parse_model(default_model_text())
History = list[Activity]


def happened(kind: ActivityKind, count: int = 1, **fields: Any) -> list[Activity]:
    return [
        Activity(activity_id=f"{kind}{number}", kind=kind, occurred_at=NOW, known_at=NOW, **fields)
        for number in range(count)
    ]


def repeated(suggestion: Suggestion, times: int) -> list[Activity]:
    assert suggestion.kind is not None
    return happened(suggestion.kind, times, detail=dict(suggestion.detail), is_colleagues=suggestion.is_colleagues)


def ask(
    lead: Lead | None = None,
    facts: Facts | None = None,
    history: History | None = None,
    model: ScoringModel = DEFAULT,
    *,
    is_mql: bool = False,
) -> Counterfactuals:
    return find_counterfactuals(Case(model, lead or Lead(), facts or Facts(), history or [], NOW), is_mql=is_mql)


def prospects(found: Counterfactuals) -> list[Prospect]:
    return [each for each in (found.mql, found.next_grade) if each is not None]


def applied(case: Case, suggestion: Suggestion, *, steps: int) -> ScoreResult:
    """Score the lead after *steps* of what is suggested, from nothing but the words of the suggestion."""
    if suggestion.kind is None:
        changes: dict[str, Any] = {change.name: change.after for change in suggestion.changes[:steps]}
        return case.score_with(changes)
    return score_lead(case.model, case.lead, case.facts, [*case.activities, *repeated(suggestion, steps)], NOW)


def reaches(case: Case, prospect: Prospect, result: ScoreResult) -> bool:
    if prospect.goal == "mql":
        return case.model.is_qualified(result.points, result.grade, was_qualified=False)
    return "ABCD".index(result.grade) <= "ABCD".index(prospect.goal)


@given(models(), leads, facts_of_leads, histories)
@settings(max_examples=60, deadline=None)
def test_what_is_suggested_reaches_the_goal_and_one_step_fewer_does_not(
    model: ScoringModel, lead: Lead, facts: Facts, history: History
) -> None:
    case = Case(model, lead, facts, history, NOW)
    for prospect in prospects(find_counterfactuals(case, is_mql=False)):
        for option in prospect.options:
            assert reaches(case, prospect, applied(case, option, steps=option.steps))
            if option.kind is not None and not reaches(case, prospect, case.score()):
                assert not reaches(case, prospect, applied(case, option, steps=option.steps - 1))


@given(models(), leads, facts_of_leads, histories)
@settings(max_examples=40, deadline=None)
def test_where_nothing_is_suggested_no_signal_reaches_the_goal_however_often(
    model: ScoringModel, lead: Lead, facts: Facts, history: History
) -> None:
    case = Case(model, lead, facts, history, NOW)
    prospect = find_counterfactuals(case, is_mql=False).mql
    assert prospect is not None
    if prospect.options:
        assert prospect.reason is None
        return
    assert prospect.reason
    for group in model.engagement:
        for signal in group.signals:
            detail = {key: min(values) for key, values in signal.where}
            more = happened(signal.kind, 12, detail=detail, is_colleagues=signal.of_account)
            assert not reaches(case, prospect, score_lead(model, lead, facts, [*history, *more], NOW))


@given(models(), leads, facts_of_leads, histories)
@settings(max_examples=40, deadline=None)
def test_suggestions_are_few_cheapest_first_and_the_same_each_time(
    model: ScoringModel, lead: Lead, facts: Facts, history: History
) -> None:
    case = Case(model, lead, facts, history, NOW)
    found = find_counterfactuals(case, is_mql=False)
    assert found == find_counterfactuals(Case(model, lead, facts, history[::-1], NOW), is_mql=False)
    for prospect in prospects(found):
        costs = [(option.steps, option.excess) for option in prospect.options]
        assert costs == sorted(costs)
        assert len(costs) <= MOST_OPTIONS


@given(models(), leads, facts_of_leads, histories, st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_a_trial_adds_up_to_what_scoring_in_full_gives(
    model: ScoringModel, lead: Lead, facts: Facts, history: History, count: int
) -> None:
    case = Case(model, lead, facts, history, NOW)
    trial = Trial(case, case.score())
    for group in model.engagement:
        for signal in group.signals:
            (activity,) = occurrences_of(signal, 1, NOW)
            result = case.score(occurrences_of(signal, count, NOW))
            assert trial.with_more(activity, count) == (result.raw, result.fit, result.grade)
    for changes in (
        {"lead.employees": 700},
        {"facts.is_competitor": True},
        {"lead.title": None, "lead.custom.budget": "high"},
    ):
        result = case.score_with(changes)
        assert trial.with_inputs(changes)[0] == (result.raw, result.fit, result.grade)


def test_a_trial_adds_up_again_only_the_signals_that_count_the_activity(monkeypatch: pytest.MonkeyPatch) -> None:
    history = [*happened("email_click", 300), *happened("demo_request")]
    case = Case(DEFAULT, Lead(), Facts(), history, NOW)
    trial = Trial(case, case.score())
    added_up: list[str] = []

    def counted(signal: Signal, moments: list[Any], now: Any = None) -> list[Any]:
        added_up.append(signal.signal_id)
        return moments

    monkeypatch.setattr(Signal, "counted", counted)
    (activity,) = happened("demo_request")
    first = trial.with_more(activity, 2)
    assert set(added_up) == {"demo_request"}
    added_up.clear()
    assert trial.with_more(activity, 2) == first
    assert added_up == []


def test_the_cheapest_signals_that_make_an_mql_are_named() -> None:
    found = ask(Lead(employees=120, industry="software"), Facts(seniority="manager")).mql
    assert found is not None
    assert (found.goal, found.missing) == ("mql", 1100)
    assert [(option.source, option.steps, option.excess) for option in found.options] == [
        ("webinar_attendance", 1, 900),
        ("demo_request", 1, 1900),
        ("meeting", 1, 1900),
        ("trial_usage", 2, 900),
        ("webinar_registration", 3, 400),
    ]


def test_more_occurrences_than_the_frequency_cap_lets_count_are_never_suggested() -> None:
    found = ask(Lead(employees=120, industry="software"), Facts(seniority="manager")).mql
    assert found is not None
    assert "content_download" not in {option.source for option in found.options}  # 3 in a day would do, 2 count


def test_an_mql_is_not_told_how_to_become_one() -> None:
    assert ask(is_mql=True).mql is None


def test_a_lead_with_the_best_grade_is_not_told_of_a_better_one() -> None:
    assert ask(Lead(employees=5000, industry="software"), Facts(seniority="vp")).next_grade is None


def test_a_rule_is_told_with_its_condition_and_an_input_that_is_enough() -> None:
    found = ask(Lead(employees=100, industry="software"), Facts(seniority="manager")).next_grade
    assert found is not None
    by_source = {option.source: option for option in found.options}
    option = by_source["from_1001"]
    assert option.wording == "lead.employees at least 1001"
    assert [(change.name, change.before, change.after) for change in option.changes] == [("lead.employees", 100, 1001)]
    assert (found.goal, found.missing, option.result.grade, option.excess) == ("A", 600, "A", 200)


def test_a_grade_that_no_engagement_makes_up_for_is_answered_with_rules() -> None:
    found = ask(Lead(), Facts(), [*happened("demo_request"), *happened("webinar_attendance")]).mql
    assert found is not None
    assert found.missing == 0
    assert [(option.source, option.excess) for option in found.options] == [
        ("core", 1500), ("201_to_1000", 1600), ("director", 1800), ("from_1001", 2000), ("vp", 2200),
    ]  # fmt: skip
    assert all(option.kind is None and option.result.grade == "C" for option in found.options)


def test_a_lead_too_far_away_is_told_so_with_what_comes_closest() -> None:
    found = ask(Lead(employees=120), Facts(seniority="senior", is_competitor=True)).mql
    assert found is not None
    assert found.options == ()
    assert found.closest is not None
    assert found.closest.source == "demo_request"
    assert found.reason == (
        "no single signal or rule reaches it; the closest is demo_request of demo_requests: 50 points are missing then"
    )


def test_what_the_engagement_of_another_activity_needs_is_told_with_its_details() -> None:
    text = default_model_text().replace("activity: meeting", "activity: meeting\n        where: {format: [onsite]}")
    found = ask(Lead(employees=120, industry="software"), Facts(seniority="manager"), model=parse_model(text)).mql
    assert found is not None
    (meeting,) = [option for option in found.options if option.source == "meeting"]
    assert (meeting.kind, meeting.detail) == ("meeting", {"format": "onsite"})


def test_an_activity_that_also_takes_points_is_suggested_only_as_often_as_it_helps() -> None:
    taking = "      - {id: pushy, activity: meeting, points: -5}\n"
    text = default_model_text().replace("floor: -10\n    signals:\n", f"floor: -10\n    signals:\n{taking}")
    lead, facts = Lead(employees=120, industry="software"), Facts(seniority="manager")
    found = ask(lead, facts, model=parse_model(text)).mql
    assert found is not None
    (meeting,) = [option for option in found.options if option.source == "meeting"]
    assert (meeting.steps, meeting.result.points) == (1, 6400)
