"""What a plan counts, lead by lead, and how it says it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scoring.domain.activity import Activity, submitted_activity_id
from scoring.domain.decision import Profile
from scoring.domain.model import ScoringModel
from scoring.domain.score import score_lead
from scoring.history import DecidedScore, LeadHistory
from scoring.model_document import default_model_text, parse_model
from scoring.planning.comparison import MOST_MOVERS, Comparison, parts_between
from scoring.planning.report import MOST_SLICES, percentile, report_on
from scoring.planning.slices import company_size
from scoring.planning.views import PlanResult
from shared.contracts import Facts, Lead, Origin

TEXT = default_model_text()
LIVE = parse_model(TEXT)
PLANNED = parse_model(
    TEXT.replace("points: 22", "points: 20")
    .replace("half_life_days: 14", "half_life_days: 3")
    .replace("A: 45", "A: 40")
)
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SINCE, UNTIL = NOON - timedelta(days=30), NOON


def make_history(
    number: int = 0,
    at: datetime = NOON - timedelta(days=1),
    lead: Lead | None = None,
    *,
    has_demo: bool = False,
    decided: float = 22.0,
    source: str = "demo",
) -> LeadHistory:
    """A vp, known by one submission."""
    record = f"r{number}"
    origin = Origin(
        submission_id="s", record_id=record, source_key=source, source_kind="web_form", received_at=at, is_new_lead=True
    )
    demo = Activity(
        activity_id=submitted_activity_id(record, "demo_request"), kind="demo_request", occurred_at=at, known_at=at
    )
    return LeadHistory(
        f"lead-{number:05}",
        ((at, Profile(origin=origin, lead=lead or Lead(), facts=Facts(seniority="vp"))),),
        (demo,) if has_demo else (),
        (DecidedScore(at, "submission", "1", decided, decided, decided, 0.0, "C", False),),
    )


def compared(*histories: LeadHistory, planned: ScoringModel = PLANNED) -> PlanResult:
    comparison = Comparison(LIVE, planned, SINCE, UNTIL)
    for history in histories:
        comparison.add(history)
    return report_on(
        comparison, version="2", live_version="1", since=SINCE, until=UNTIL, leads_in_period=len(histories)
    )


def test_nothing_changed_is_said_as_nothing() -> None:
    result = compared(make_history(1, has_demo=True), make_history(2), planned=LIVE)
    assert (result.points.mean, result.points.leads_unmoved, result.grade_changed) == (0.0, 2, 0)
    assert (result.rules, result.top_movers) == ([], [])
    assert result.crossings_before == result.crossings_after


def test_what_was_decided_by_another_version_is_compared_too_and_not_called_reproduced() -> None:
    result = compared(make_history(1, decided=30.0), make_history(2))
    assert (result.against_decided.reproduced, result.leads) == (1, 2)
    assert (result.against_decided.points.mean, result.points.mean) == (-6.0, -2.0)


def test_of_many_movers_the_farthest_are_kept() -> None:
    still, far = make_history(999), make_history(1000, has_demo=True, at=NOON - timedelta(hours=1))
    near = [make_history(number) for number in range(MOST_MOVERS + 5)]
    planned = parse_model(TEXT.replace("points: 22", "points: 21").replace("points: 30\n", "points: 10\n", 1))
    result = compared(*near, far, still, planned=planned)
    assert len(result.top_movers) == MOST_MOVERS
    assert (result.top_movers[0].lead_id, result.top_movers[1].lead_id) == (far.lead_id, still.lead_id)
    assert {part.source for part in result.top_movers[0].because} == {"vp", "demo_request"}


def test_values_beyond_the_most_frequent_are_one_line() -> None:
    many = [make_history(number, source=f"s{number:03}") for number in range(MOST_SLICES + 3)]
    result = compared(make_history(500, source="s000"), *many)
    assert [(each.value, each.leads) for each in (result.by_source[0], result.by_source[-1])] == [
        ("s000", 2), ("(other)", 3)
    ]  # fmt: skip
    assert sum(each.leads for each in result.by_source) == result.leads


def test_industries_are_one_whatever_their_case_and_nobody_is_left_out() -> None:
    leads = [Lead(industry=" Software"), Lead(industry="software"), Lead(industry="  "), Lead()] * 3
    result = compared(*(make_history(number, lead=lead) for number, lead in enumerate(leads)))
    assert {each.value: each.leads for each in result.by_industry} == {"software": 6, "unknown": 6}


def test_what_few_people_typed_is_not_shown() -> None:
    """An industry that somebody filled in with a name is of one lead."""
    typed = ["Software"] * 5 + ["Ada Lovelace, +1 555 0100"] + ["retail"] * 4 + [None]
    result = compared(*(make_history(number, lead=Lead(industry=each)) for number, each in enumerate(typed)))
    assert {each.value: each.leads for each in result.by_industry} == {"software": 5, "unknown": 1, "(other)": 5}
    assert sum(each.leads for each in result.by_source) == result.leads == 11


def test_of_a_long_history_what_was_decided_before_it_is_no_crossing() -> None:
    whole = make_history(1)
    decided = replace(whole.decisions[0], is_mql=True)
    result = compared(LeadHistory(whole.lead_id, whole.profiles, (), (decided,), is_cut=True), make_history(2))
    assert (result.leads_cut, result.leads) == (1, 2)
    assert result.against_decided.crossings.entered == 0


@pytest.mark.parametrize(
    ("employees", "band"),
    [(None, "unknown"), (0, "unknown"), (1, "1-10"), (10, "1-10"), (11, "11-50"), (5000, "1001-5000"), (5001, "5001+")],
)
def test_companies_fall_into_bands(employees, band):
    assert company_size(employees) == band


@given(st.lists(st.integers(-10_000, 10_000), min_size=1), st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[int], percent: int) -> None:
    at_most = [value for value in values if 100 * sum(each <= value for each in values) >= percent * len(values)]
    assert percentile(sorted(values), percent) == min(at_most)


@given(
    st.builds(Lead, employees=st.integers(1, 6000), industry=st.sampled_from([None, "Software", "Retail"])),
    st.builds(Facts, seniority=st.sampled_from(["vp", "manager"]), is_competitor=st.booleans()),
    st.lists(st.sampled_from(["demo_request", "website_visit", "trial_usage", "unsubscribe"]), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_the_reasons_of_a_move_add_up_to_it(lead, facts, kinds):
    done = [
        Activity(activity_id=str(index), kind=kind, occurred_at=at, known_at=at)
        for index, kind in enumerate(kinds)
        for at in [NOON - timedelta(hours=7 * index)]
    ]
    before, after = (score_lead(model, lead, facts, done, NOON) for model in (LIVE, PLANNED))
    parts = parts_between(before, after)
    assert sum(new - old for old, new in parts.values()) == after.points - before.points
    assert all(old != new for old, new in parts.values())
