"""What holds for every lead: the lines add up, the range holds, more is never less, time only takes."""

from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.domain.activity import Activity
from scoring.domain.decay import falls_below_at
from scoring.domain.model import ScoringModel
from scoring.domain.score import score_lead
from scoring.model_document import default_model_text, load_model, parse_model
from shared.contracts import ActivityKind, EmailKind, Facts, Lead, Seniority

DEFAULT = parse_model(default_model_text())
# One model in which every half-life differs, so that nothing holds only because all signals fade alike.
MIXED = parse_model(
    default_model_text()
    .replace("points: 30\n", "points: 30\n        half_life_days: 3\n")
    .replace("points: 20\n", "points: 20\n        half_life_days: 30.5\n", 1)
    .replace("points: 2\n", "points: 2\n        half_life_days: 0.25\n")
)
# One in which activities leave, each signal after its own time (one sooner than a draft may say), and colleagues count.
LEAVING = load_model(
    default_model_text()
    .replace("half_life_days: 14\n", "half_life_days: 14\n  look_back_days: 20\n", 1)
    .replace("points: 30\n", "points: 30\n        look_back_days: 3.5\n")
    .replace("activity: content_download\n", "activity: content_download\n        look_back_days: 0.0001\n")
    + "account: {cap: 9, signals: [{id: colleague_demo, activity: demo_request, points: 6},"
    " {id: colleague_visit, activity: website_visit, points: 1, look_back_days: 1, at_most: {times: 2}}]}\n"
)
# One so fast that every millisecond of a lead's decay can be looked at.
HASTY = load_model(
    default_model_text()
    .replace("half_life_days: 14\n", "half_life_days: 0.00001\n  look_back_days: 0.00002\n", 1)
    .replace("activity: webinar_attendance\n", "activity: webinar_attendance\n        look_back_days: 0.000007\n")
)
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

History = list[Activity]

models = st.sampled_from([DEFAULT, MIXED, LEAVING])
leads = st.builds(
    Lead,
    title=st.sampled_from([None, "Owner", "Clerk"]),
    employees=st.none() | st.integers(0, 10_000),
    industry=st.sampled_from([None, "Software", "Banking", "Retail", "Education"]),
)
facts_of_leads = st.builds(
    Facts,
    email_kind=st.sampled_from(get_args(EmailKind)),
    seniority=st.sampled_from(get_args(Seniority)),
    is_competitor=st.booleans(),
)
kinds: st.SearchStrategy[ActivityKind] = st.sampled_from(get_args(ActivityKind))
engaging = kinds.filter(lambda kind: kind != "unsubscribe")


@st.composite
def activities(draw: st.DrawFn, kind: st.SearchStrategy[ActivityKind] = kinds) -> Activity:
    known_at = NOW - timedelta(seconds=draw(st.integers(0, 90 * 86_400)))
    return Activity(
        activity_id=str(draw(st.integers(0, 1_000_000))),
        kind=draw(kind),
        occurred_at=known_at - timedelta(seconds=draw(st.integers(-86_400, 30 * 86_400))),
        known_at=known_at,
        is_colleagues=draw(st.integers(0, 4)) == 0,
    )


histories = st.lists(activities(), max_size=30)


@given(models, leads, facts_of_leads, histories)
@settings(max_examples=100, deadline=None)
def test_the_lines_add_up_to_the_score(model: ScoringModel, lead: Lead, facts: Facts, history: History) -> None:
    result = score_lead(model, lead, facts, history, NOW)
    assert sum(line.hundredths for line in result.lines) == result.points
    assert result.raw == result.fit + result.engagement + result.negative


@given(models, leads, facts_of_leads, histories)
@settings(max_examples=100, deadline=None)
def test_a_score_stays_in_its_range(model: ScoringModel, lead: Lead, facts: Facts, history: History) -> None:
    result = score_lead(model, lead, facts, history, NOW)
    assert 0 <= result.points <= 10_000
    assert 0 <= result.fit <= 6_000
    assert 0 <= result.engagement <= 15_400
    assert -8_500 <= result.negative <= 0


@given(models, leads, facts_of_leads, histories, activities(engaging))
@settings(max_examples=100, deadline=None)
def test_more_engagement_never_lowers_a_score(
    model: ScoringModel, lead: Lead, facts: Facts, history: History, one_more: Activity
) -> None:
    before = score_lead(model, lead, facts, history, NOW)
    assert score_lead(model, lead, facts, [*history, one_more], NOW).raw >= before.raw


@given(models, leads, facts_of_leads, histories, st.integers(0, 10**9), st.integers(0, 10**9))
@settings(max_examples=100, deadline=None)
def test_time_alone_never_raises_a_score(
    model: ScoringModel, lead: Lead, facts: Facts, history: History, first: int, more: int
) -> None:
    soon = score_lead(model, lead, facts, history, NOW + first * MILLISECOND)
    later = score_lead(model, lead, facts, history, NOW + (first + more) * MILLISECOND)
    assert later.raw <= soon.raw


@given(models, leads, facts_of_leads, histories.flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
@settings(max_examples=50, deadline=None)
def test_the_order_in_which_activities_are_known_does_not_matter(
    model: ScoringModel, lead: Lead, facts: Facts, orders: tuple[History, History]
) -> None:
    in_order, shuffled = orders
    assert score_lead(model, lead, facts, shuffled, NOW) == score_lead(model, lead, facts, in_order, NOW)


@given(models, leads, facts_of_leads, histories)
@settings(max_examples=100, deadline=None)
def test_the_crossing_is_the_first_millisecond_below_the_limit(
    model: ScoringModel, lead: Lead, facts: Facts, history: History
) -> None:
    limit = model.qualification.leave_below
    result = score_lead(model, lead, facts, history, NOW)
    crossing = falls_below_at(model, result, history, NOW)
    far = NOW + timedelta(days=20_000)
    at = crossing or far
    before = NOW if at == NOW else at - MILLISECOND
    assert (score_lead(model, lead, facts, history, at).raw < limit) == (crossing is not None)
    assert crossing in {None, NOW} or score_lead(model, lead, facts, history, before).raw >= limit


@given(
    facts_of_leads,
    st.lists(
        st.tuples(st.sampled_from(["demo_request", "webinar_attendance", "email_reply"]), st.integers(0, 3_000_000)),
        min_size=1,
        max_size=6,
    ),
)
@settings(max_examples=15, deadline=None)
def test_the_crossing_is_what_looking_at_every_millisecond_finds(
    facts: Facts, done: list[tuple[ActivityKind, int]]
) -> None:
    history = [
        Activity(activity_id=str(number), kind=kind, occurred_at=NOW - timedelta(microseconds=age), known_at=NOW)
        for number, (kind, age) in enumerate(done)
    ]
    instants = [NOW + step * MILLISECOND for step in range(1_800)]  # the longest window is 1,728 ms
    limit = HASTY.qualification.leave_below
    scores = [score_lead(HASTY, Lead(employees=300), facts, history, at) for at in instants]
    found = next((at for at, result in zip(instants, scores, strict=True) if result.raw < limit), None)
    assert falls_below_at(HASTY, scores[0], history, NOW) == found


@given(leads, facts_of_leads, histories)
@settings(max_examples=50, deadline=None)
def test_an_activity_counts_up_to_the_end_of_its_look_back_window_and_not_from_there_on(
    lead: Lead, facts: Facts, history: History
) -> None:
    demo = Activity(activity_id="demo", kind="demo_request", occurred_at=NOW, known_at=NOW)
    ends_at = NOW + timedelta(days=3.5)
    older = [each for each in history if each.kind not in {"demo_request", "meeting"}]
    microsecond = timedelta(microseconds=1)
    before, at = (
        score_lead(LEAVING, lead, facts, [*older, demo], when).raw - score_lead(LEAVING, lead, facts, older, when).raw
        for when in (ends_at - microsecond, ends_at)
    )
    assert (before, at) == (2523, 0)


def test_the_crossing_of_a_plain_lead_is_where_the_half_life_says() -> None:
    # 22 points of fit and a demo request of 30: below 45 once the demo request is worth less than 23 (rounded).
    demo = Activity(activity_id="a", kind="demo_request", occurred_at=NOW, known_at=NOW)
    facts = Facts(seniority="vp")
    result = score_lead(DEFAULT, Lead(), facts, [demo], NOW)
    crossing = falls_below_at(DEFAULT, result, [demo], NOW)
    assert crossing is not None
    assert abs((crossing - NOW) - timedelta(days=14) * 0.38333) < timedelta(minutes=10)


def test_fit_alone_above_the_limit_never_falls() -> None:
    lead, facts = Lead(employees=5000, industry="Software"), Facts(seniority="c_level")
    assert falls_below_at(DEFAULT, score_lead(DEFAULT, lead, facts, (), NOW), (), NOW) is None
