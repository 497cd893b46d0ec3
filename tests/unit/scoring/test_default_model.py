"""The shipped model is the scoring framework, line by line: group, range, cap, decay, grade, threshold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.domain.activity import Activity
from scoring.domain.model import Grade
from scoring.domain.score import ScoreResult, score_lead
from scoring.model_document import default_model_text, parse_model
from shared.contracts import ActivityKind, EmailKind, Facts, Lead, Seniority

MODEL = parse_model(default_model_text())
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
OURS = {"product_usage", "intent"}
OUR_KINDS = {"trial_started", "seats_added", "key_feature_used", "pricing_page_view"}
FRAMEWORK_KINDS = [kind for kind in get_args(ActivityKind) if kind not in OUR_KINDS]


def score(lead: Lead | None = None, facts: Facts | None = None, *activities: Activity) -> ScoreResult:
    return score_lead(MODEL, lead or Lead(), facts or Facts(), activities, NOW)


def activities(kind: ActivityKind, count: int, *, days_ago: float = 0, days_apart: int = 0) -> list[Activity]:
    first = NOW - timedelta(days=days_ago)
    return [
        Activity(
            activity_id=f"{kind}-{number}",
            kind=kind,
            occurred_at=first - number * timedelta(days=days_apart),
            known_at=NOW,
        )
        for number in range(count)
    ]


def test_a_lead_nobody_knows_anything_about_scores_nothing() -> None:
    assert score() == ScoreResult(points=0, raw=0, fit=0, engagement=0, negative=0, grade="D", lines=())


@pytest.mark.parametrize(("group", "cap"), [("job_title", 25), ("company_size", 20), ("industry_fit", 15)])
def test_fit_groups_have_the_caps_of_the_framework(group: str, cap: int) -> None:
    assert {each.name: each.cap for each in MODEL.fit}[group] == cap * 100


@pytest.mark.parametrize(
    ("group", "cap"),
    [
        ("website_visits", 10),
        ("content_downloads", 15),
        ("email_engagement", 10),
        ("webinar_attendance", 20),
        ("demo_requests", 30),
        ("trial_usage", 25),
    ],
)
def test_engagement_groups_have_the_caps_of_the_framework(group: str, cap: int) -> None:
    assert {each.name: each.cap for each in MODEL.engagement}[group] == cap * 100


def test_the_groups_are_those_of_the_framework_and_two_of_ours() -> None:
    assert [group.name for group in MODEL.fit] == ["job_title", "company_size", "industry_fit"]
    assert [(group.name, group.cap) for group in MODEL.engagement if group.name in OURS] == [
        ("product_usage", 2000),
        ("intent", 1500),
    ]
    assert [group.name for group in MODEL.engagement if group.name not in OURS] == [
        "website_visits", "content_downloads", "email_engagement", "webinar_attendance", "demo_requests", "trial_usage",
    ]  # fmt: skip
    assert [(group.name, group.floor) for group in MODEL.negative] == [
        ("competitor", -5000),
        ("student_email", -2500),
        ("unsubscribe", -1000),
    ]
    assert (MODEL.has_account, MODEL.ranking) == (False, "points")


@given(
    st.lists(st.tuples(st.sampled_from(FRAMEWORK_KINDS), st.integers(0, 90)), max_size=20),
    st.sampled_from(get_args(Seniority)),
)
@settings(max_examples=50, deadline=None)
def test_a_lead_without_product_and_intent_signals_scores_by_the_framework_alone(
    done: list[tuple[ActivityKind, int]], seniority: Seniority
) -> None:
    history = [each for kind, days_ago in done for each in activities(kind, 1, days_ago=days_ago)]
    framework = replace(MODEL, engagement=tuple(group for group in MODEL.engagement if group.name not in OURS))
    facts = Facts(seniority=seniority)
    assert score_lead(MODEL, Lead(), facts, history, NOW) == score_lead(framework, Lead(), facts, history, NOW)


@pytest.mark.parametrize(
    ("seniority", "points"),
    [
        ("c_level", 25), ("vp", 22), ("director", 18), ("manager", 12), ("senior", 8), ("individual", 5),
        ("student", 0), ("unknown", 0),
    ],
)  # fmt: skip
def test_job_title_gives_0_to_25_by_seniority(seniority: Seniority, points: int) -> None:
    assert score(facts=Facts(seniority=seniority)).fit == points * 100


@pytest.mark.parametrize("title", ["Founder", "Co-Founder & Head Chef", "OWNER", "managing director, EMEA"])
def test_an_owner_whose_seniority_enrichment_missed_counts_as_c_level(title: str) -> None:
    assert score(Lead(title=title)).fit == 2500


@pytest.mark.parametrize("title", ["Homeowner support", "Foundering expert", ""])
def test_a_title_matches_whole_words_only(title: str) -> None:
    assert score(Lead(title=title)).fit == 0


@pytest.mark.parametrize(
    ("employees", "points"),
    [
        (None, 0), (0, 0), (1, 0), (2, 4), (10, 4), (11, 8), (50, 8), (51, 12), (200, 12), (201, 16), (1000, 16),
        (1001, 20), (250_000, 20),
    ],
)  # fmt: skip
def test_company_size_gives_0_to_20_by_band(employees: int | None, points: int) -> None:
    assert score(Lead(employees=employees)).fit == points * 100


@pytest.mark.parametrize(
    ("industry", "points"),
    [
        ("Software", 15), ("Computer Software", 15), ("SaaS / Cloud", 15), ("INFORMATION TECHNOLOGY", 15),
        ("Financial Services", 12), ("insurance", 12), ("Manufacturing", 8), ("Retail", 8), ("Education", 4),
        ("Softwarefreie Zone", 0), ("Fishing", 0), (None, 0),
    ],
)  # fmt: skip
def test_industry_fit_gives_0_to_15(industry: str | None, points: int) -> None:
    assert score(Lead(industry=industry)).fit == points * 100


@pytest.mark.parametrize(
    ("kind", "each"),
    [
        ("website_visit", 2), ("content_download", 5), ("email_open", 1), ("email_click", 3), ("email_reply", 10),
        ("webinar_registration", 5), ("webinar_attendance", 20), ("demo_request", 30), ("meeting", 30),
        ("trial_usage", 10), ("trial_started", 10), ("seats_added", 10), ("key_feature_used", 4),
        ("pricing_page_view", 5),
    ],
)  # fmt: skip
def test_each_signal_gives_its_points_when_it_happens(kind: ActivityKind, each: int) -> None:
    assert score(None, None, *activities(kind, 1)).engagement == each * 100


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("website_visit", 10), ("content_download", 15), ("email_click", 10), ("email_reply", 10),
        ("webinar_attendance", 20), ("demo_request", 30), ("trial_usage", 25), ("seats_added", 20),
        ("key_feature_used", 20), ("pricing_page_view", 15),
    ],
)  # fmt: skip
def test_no_signal_gives_more_than_its_group_however_often_it_happens(kind: ActivityKind, most: int) -> None:
    assert score(None, None, *activities(kind, 300, days_apart=1)).engagement == most * 100


def test_signals_of_one_group_share_its_cap() -> None:
    result = score(None, None, *activities("demo_request", 1), *activities("meeting", 1))
    assert result.engagement == 3000


@pytest.mark.parametrize(
    ("kind", "a_day_gives"),
    [
        ("website_visit", 6), ("content_download", 10), ("email_open", 1), ("email_click", 6), ("trial_usage", 20),
        ("trial_started", 10), ("seats_added", 10), ("key_feature_used", 8), ("pricing_page_view", 10),
    ],
)  # fmt: skip
def test_a_day_of_repetition_counts_up_to_the_frequency_cap(kind: ActivityKind, a_day_gives: int) -> None:
    assert score(None, None, *activities(kind, 50)).engagement == a_day_gives * 100


@pytest.mark.parametrize(
    ("facts", "points"),
    [(Facts(is_competitor=True), -50), (Facts(email_kind="student"), -25)],
)
def test_negative_facts_take_their_points(facts: Facts, points: int) -> None:
    result = score(facts=facts)
    assert (result.raw, result.points) == (points * 100, 0)


@pytest.mark.parametrize("times", [1, 2, 7])
def test_unsubscribing_takes_10_points_once_and_for_good(times: int) -> None:
    assert score(None, None, *activities("unsubscribe", times, days_ago=400)).raw == -1000


@pytest.mark.parametrize("kind", ["business", "free", "disposable", "role", "unknown"])
def test_other_addresses_cost_nothing(kind: EmailKind) -> None:
    assert score(facts=Facts(email_kind=kind)).raw == 0


@pytest.mark.parametrize("kind", ["first_touch", "accepted", "rejected", "opportunity", "won", "lost", "hard_bounce"])
def test_what_the_crm_reports_is_no_engagement(kind: ActivityKind) -> None:
    assert not MODEL.counts(kind)


@pytest.mark.parametrize(
    ("days", "left"), [(0, 3000), (7, 2121), (14, 1500), (28, 750), (140, 3), (400, 0), (-3, 3000)]
)
def test_engagement_halves_every_14_days(days: float, left: int) -> None:
    assert score(None, None, *activities("demo_request", 1, days_ago=days)).engagement == left


@pytest.mark.parametrize(("days", "left"), [(0, 500), (7, 250), (14, 125), (59.99, 1), (60, 0)])
def test_a_look_at_the_prices_halves_every_7_days_and_is_forgotten_after_60(days: float, left: int) -> None:
    assert score(None, None, *activities("pricing_page_view", 1, days_ago=days)).engagement == left


def test_fit_does_not_decay() -> None:
    lead, facts = Lead(employees=5000), Facts(seniority="vp")
    now = score_lead(MODEL, lead, facts, (), NOW)
    assert score_lead(MODEL, lead, facts, (), NOW + timedelta(days=3650)) == now


@pytest.mark.parametrize(
    ("fit", "grade"), [(60, "A"), (45, "A"), (44.99, "B"), (30, "B"), (29.99, "C"), (15, "C"), (14.99, "D"), (0, "D")]
)
def test_the_grade_is_the_letter_for_fit(fit: float, grade: str) -> None:
    assert MODEL.grade_of(round(fit * 100)) == grade


@pytest.mark.parametrize(
    ("points", "grade", "was", "expected"),
    [
        (50, "C", False, True), (50, "D", False, False), (49.99, "A", False, False), (49.99, "A", True, True),
        (45, "A", True, True), (44.99, "A", True, False), (100, "D", True, False),
    ],
)  # fmt: skip
def test_an_mql_has_50_points_and_no_grade_d_and_stays_one_down_to_45(
    points: float,
    grade: Grade,
    was: bool,
    expected: bool,
) -> None:
    assert MODEL.is_qualified(round(points * 100), grade, was_qualified=was) is expected


def test_a_perfect_lead_has_100_points_after_clamping_and_170_before_by_the_framework() -> None:
    result = score(
        Lead(employees=5000, industry="Software"),
        Facts(seniority="c_level"),
        *activities("website_visit", 60, days_apart=0),
        *activities("website_visit", 9, days_apart=1),
        *activities("content_download", 9, days_apart=1),
        *activities("email_reply", 1),
        *activities("webinar_attendance", 1),
        *activities("demo_request", 1),
        *activities("trial_usage", 9, days_apart=1),
    )
    assert (result.raw, result.points, result.fit, result.engagement) == (17_000, 10_000, 6_000, 11_000)


def test_a_score_is_never_below_zero_and_the_unclamped_sum_is_kept() -> None:
    result = score(None, Facts(is_competitor=True, email_kind="student"), *activities("unsubscribe", 1))
    assert (result.points, result.raw) == (0, -8500)
