"""Every line of an explanation says what gave or took points, and by how many."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from tests.unit.scoring.random_models import facts_of_leads, histories, leads, models

from scoring.domain.activity import Activity
from scoring.domain.model import ScoringModel
from scoring.domain.score import Line, score_lead
from scoring.model_document import default_model_text, parse_model
from shared.contracts import ActivityKind, Facts, Lead

MODEL = parse_model(default_model_text())
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ACCOUNT = "account: {cap: 10, signals: [{id: colleague_demo, activity: demo_request, points: 8}]}\n"


def happened(kind: ActivityKind, *, days_ago: float = 0, count: int = 1) -> list[Activity]:
    at = NOW - timedelta(days=days_ago)
    return [Activity(activity_id=f"{kind}{number}", kind=kind, occurred_at=at, known_at=NOW) for number in range(count)]


def test_a_rule_line_names_the_rule_and_the_inputs_it_looked_at() -> None:
    result = score_lead(MODEL, Lead(employees=300), Facts(), (), NOW)
    assert result.lines == (
        Line(
            kind="rule",
            half="fit",
            group="company_size",
            source="201_to_1000",
            hundredths=1600,
            inputs={"lead.employees": "300"},
        ),
    )


def test_decay_is_a_line_of_its_own() -> None:
    result = score_lead(MODEL, Lead(), Facts(), happened("demo_request", days_ago=14), NOW)
    assert [(line.kind, line.source, line.hundredths) for line in result.lines] == [
        ("signal", "demo_request", 3000),
        ("decay", "demo_request", -1500),
    ]


def test_a_signal_line_says_how_often_and_when_last() -> None:
    (line, *_) = score_lead(MODEL, Lead(), Facts(), happened("email_click", count=2), NOW).lines
    assert (line.count, line.latest_at) == (2, NOW)


def test_the_frequency_cap_is_a_line_of_its_own() -> None:
    result = score_lead(MODEL, Lead(), Facts(), happened("website_visit", count=5), NOW)
    assert [(line.kind, line.count, line.hundredths) for line in result.lines] == [
        ("signal", 5, 1000),
        ("frequency_cap", 2, -400),
    ]


def test_what_left_the_look_back_window_is_a_line_of_its_own() -> None:
    views = [*happened("pricing_page_view", days_ago=61, count=3), *happened("pricing_page_view", days_ago=7, count=3)]
    result = score_lead(MODEL, Lead(), Facts(), views, NOW)
    assert [(line.kind, line.count, line.hundredths) for line in result.lines] == [
        ("signal", 6, 3000),
        ("look_back", 3, -1500),
        ("frequency_cap", 1, -500),
        ("decay", None, -500),
    ]
    assert result.points == 500


def test_what_colleagues_did_is_lines_of_the_group_account() -> None:
    model = parse_model(default_model_text() + ACCOUNT)
    demo = msgspec.structs.replace(happened("demo_request", days_ago=14)[0], is_colleagues=True)
    result = score_lead(model, Lead(), Facts(), [demo], NOW)
    assert [(line.kind, line.half, line.group, line.source, line.hundredths) for line in result.lines] == [
        ("signal", "engagement", "account", "colleague_demo", 800),
        ("decay", "engagement", "account", "colleague_demo", -400),
    ]


def test_the_group_cap_is_a_line_of_its_own() -> None:
    result = score_lead(MODEL, Lead(), Facts(), happened("demo_request", count=2), NOW)
    assert [(line.kind, line.group, line.hundredths) for line in result.lines] == [
        ("signal", "demo_requests", 6000),
        ("group_cap", "demo_requests", -3000),
    ]


def test_the_floor_of_a_negative_group_is_a_line_of_its_own() -> None:
    result = score_lead(MODEL, Lead(), Facts(), happened("unsubscribe", count=3), NOW)
    assert [(line.kind, line.hundredths) for line in result.lines] == [
        ("signal", -3000),
        ("floor", 2000),
        ("clamp", 1000),
    ]


def test_clamping_is_a_line_of_its_own() -> None:
    result = score_lead(MODEL, Lead(), Facts(is_competitor=True), (), NOW)
    assert result.lines[-1] == Line(kind="clamp", half="total", hundredths=5000)


def test_an_activity_from_the_future_counts_from_when_it_was_known() -> None:
    known = NOW - timedelta(days=14)
    activity = Activity(activity_id="a", kind="demo_request", occurred_at=NOW + timedelta(days=900), known_at=known)
    assert score_lead(MODEL, Lead(), Facts(), [activity], NOW).engagement == 1500


@given(models(), leads, facts_of_leads, histories)
@settings(max_examples=60, deadline=None)
def test_under_any_model_the_lines_add_up_exactly_by_half_and_in_all(
    model: ScoringModel, lead: Lead, facts: Facts, history: list[Activity]
) -> None:
    result = score_lead(model, lead, facts, history, NOW)
    sums = Counter[str]()
    for line in result.lines:
        sums[line.half] += line.hundredths
    assert (sums["fit"], sums["engagement"], sums["negative"]) == (result.fit, result.engagement, result.negative)
    assert sums.total() == result.points == result.raw + sums["total"]


@given(models(), leads, facts_of_leads, histories)
@settings(max_examples=60, deadline=None)
def test_under_any_model_the_lines_of_a_group_stay_within_its_limits_and_none_says_nothing(
    model: ScoringModel, lead: Lead, facts: Facts, history: list[Activity]
) -> None:
    result = score_lead(model, lead, facts, history, NOW)
    sums = Counter[str]()
    for line in result.lines:
        sums[line.group or "total"] += line.hundredths
    assert all(0 <= sums[group.name] <= group.cap for group in model.fit)
    assert all(0 <= sums[group.name] <= group.cap for group in model.engagement)
    assert all(group.floor <= sums[group.name] <= 0 for group in model.negative)
    assert all(line.hundredths for line in result.lines if line.kind in {"decay", "group_cap", "floor", "clamp"})
