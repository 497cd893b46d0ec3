"""The services' rules and the judge's reading of the same documents, which share no code, give the same answers."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consent.domain.statements import Standing
from consent.domain.verdict import decide_lead
from consent.ledger import LedgerRow, take_in
from consent.rule_document import parse_rules
from scoring.domain.activity import Activity
from scoring.domain.points import to_points
from scoring.domain.score import score_lead
from scoring.model_document import parse_model
from shared.contracts import Facts, Lead

from .checker.consent_rules import CHANNELS, PURPOSES, Answer, NotJudged, Said, decide, read_rules
from .checker.score_model import Deed, Points, is_qualified, read_model, score
from .checker.score_replay import ROUNDING

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SHIPPED_MODEL = files("scoring").joinpath("defaults/model.yaml").read_text("utf-8")
SHIPPED_RULES = files("consent").joinpath("defaults/rules.yaml").read_text("utf-8")
# Everything a model may say that the shipped one does not.
OTHER_MODEL = """
name: other
decay: {half_life_days: 3, look_back_days: 40}
grades: {A: 20, B: 12.5, C: 5}
mql: {threshold: 30, hysteresis: 10, grades: [A, C]}
fit:
  job_title:
    cap: 20
    choose: sum
    rules:
      - {id: here, points: 12.25, when: {field: lead.country, is_in: [de, US]}}
      - id: named
        points: 7.5
        when: {any: [{field: lead.company, is_set: true}, {field: lead.title, is_set: true}]}
      - id: big
        points: 9
        when: {none: [{field: lead.employees, at_most: 50}, {field: facts.seniority, is_set: false}]}
  company_size: {cap: 1, choose: best, rules: [{id: any, points: 1, when: {field: lead.employees, at_least: 0}}]}
  industry_fit: {cap: 1, choose: sum, rules: [{id: it, points: 1, when: {field: lead.industry, has_words: [retail]}}]}
engagement:
  website_visits:
    cap: 40
    signals:
      - id: pricing
        activity: website_visit
        points: 6.5
        half_life_days: 1
        look_back_days: 2.5
        where: {page: [pricing, plans]}
      - {id: visit, activity: website_visit, points: 1.25, at_most: {times: 2, days: 2}}
  content_downloads: {cap: 5, signals: [{id: download, activity: content_download, points: 5}]}
  email_engagement: {cap: 5, signals: [{id: click, activity: email_click, points: 3}]}
  webinar_attendance: {cap: 20, signals: [{id: webinar, activity: webinar_attendance, points: 20}]}
  demo_requests: {cap: 30, signals: [{id: demo, activity: demo_request, points: 30}]}
  trial_usage: {cap: 25, signals: [{id: trial, activity: trial_usage, points: 10}]}
account:
  cap: 12
  signals:
    - {id: colleague_downloads, activity: content_download, points: 2, at_most: {times: 2, days: 7}}
    - {id: colleague_trial, activity: trial_usage, points: 8, half_life_days: 30, look_back_days: 20}
negative:
  competitor:
    floor: -10
    rules: [{id: competitor, points: -10, when: {field: facts.is_competitor, is_true: true}}]
  student_email: {floor: -25, rules: [{id: student, points: -25, when: {field: facts.email_kind, is_in: [student]}}]}
  unsubscribe:
    floor: -6
    signals: [{id: unsubscribe, activity: unsubscribe, points: -4, at_most: {times: 2, days: 30}}]
"""
KINDS = (
    "website_visit", "content_download", "email_open", "email_click", "email_reply", "webinar_registration",
    "webinar_attendance", "demo_request", "trial_usage", "meeting", "unsubscribe", "hard_bounce", "trial_started",
    "seats_added", "key_feature_used", "pricing_page_view",
)  # fmt: skip


def one_of_(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


ages = st.integers(-86_400, 60 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
leads = st.builds(
    Lead,
    title=one_of_(None, "Founder & CTO", "VP Sales", "co-founder", "Partner Manager", "owner"),
    company=one_of_(None, "Acme"),
    industry=one_of_(None, "Software", "E-Commerce and Retail", "biosoftware", "Financial Services"),
    employees=one_of_(None, 1, 2, 10, 11, 50, 51, 200, 201, 1000, 1001),
    country=one_of_(None, "US", "DE", "FR", "GB", "CA", "JP"),
    region=one_of_(None, "US-CA", "US-NY"),
    email=one_of_(None, "dana@acme.example"),
    phone=one_of_(None, "+14155550123"),
)
facts = st.builds(
    Facts,
    seniority=one_of_("c_level", "vp", "director", "manager", "senior", "individual", "unknown"),
    email_kind=one_of_("business", "student", "unknown"),
    is_competitor=st.booleans(),
    subject_kind=one_of_("individual", "corporate"),
)
activities = st.lists(
    st.builds(
        Activity,
        activity_id=st.uuids().map(str),
        kind=st.sampled_from(KINDS),
        occurred_at=ages.map(lambda age: NOW - age),
        known_at=st.just(NOW),
        detail=one_of_({}, {"page": "pricing"}, {"page": "blog"}),
        is_colleagues=st.booleans(),
    ),
    max_size=12,
)


def profile_of(lead: Lead, known: Facts) -> dict[str, Any]:
    """Return the lead as events tell of it."""
    profile: dict[str, Any] = msgspec.to_builtins({"lead": lead, "facts": known})
    return profile


MODELS = {
    name: (parse_model(text), read_model(text)) for name, text in (("shipped", SHIPPED_MODEL), ("other", OTHER_MODEL))
}
TABLE, RULES = parse_rules(SHIPPED_RULES), read_rules(SHIPPED_RULES)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=80, deadline=None)
@given(lead=leads, known=facts, done=activities, was_mql=st.booleans())
def test_scores_are_the_same(name: str, lead: Lead, known: Facts, done: list[Activity], was_mql: bool) -> None:
    model, document = MODELS[name]
    result = score_lead(model, lead, known, done, NOW)
    deeds = [Deed(one.kind, one.counts_from, one.detail, one.is_colleagues) for one in done]
    made = score(document, profile_of(lead, known), deeds, NOW)
    points, raw, fit, engagement = map(to_points, (result.points, result.raw, result.fit, result.engagement))
    decided = Points(points, raw, fit, engagement, result.grade)
    assert (decided.fit, decided.grade) == (made.fit, made.grade)
    assert [one for one in zip(decided[:4], made[:4], strict=True) if abs(one[0] - one[1]) > ROUNDING] == []
    assert model.is_qualified(result.points, result.grade, was_qualified=was_mql) is is_qualified(
        document, decided.points, result.grade, was_qualified=was_mql
    )


some_of = {
    values: st.lists(st.sampled_from(values), min_size=1, unique=True).map(tuple) for values in (CHANNELS, PURPOSES)
}
instants = st.integers(0, 60).map(lambda weeks: NOW - timedelta(weeks=weeks))
statements = st.lists(
    st.builds(
        LedgerRow,
        lead_id=st.just("lead"),
        record_id=st.uuids().map(str),
        state=one_of_(
            "given", "given", "refused", "withdrawn", "objected", "inquiry", "purchase", "expired", "stop_mail"
        ),
        purposes=some_of[PURPOSES],
        channels=some_of[CHANNELS],
        happened_at=instants,
        known_at=st.just(NOW),
        method=one_of_("web_form", "pre-ticked", "phone"),
        actor=st.just("test"),
        notice_version=one_of_(None, "2026-11"),
        is_double_opt_in=st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=120, deadline=None)
@given(lead=leads, known=facts, rows=statements, closed=st.frozensets(st.sampled_from(CHANNELS), max_size=1))
def test_consent_decisions_are_the_same(
    lead: Lead, known: Facts, rows: list[LedgerRow], closed: frozenset[str]
) -> None:
    decision = decide_lead(
        TABLE, "1", take_in(Standing(), rows), closed, lead=lead, facts=known, at=NOW, decision_id="x"
    )
    said = [
        Said(row.record_id, row.state, row.purposes, row.channels, row.happened_at, row.known_at, row.method,
             row.notice_version, row.is_double_opt_in)
        for row in rows
    ]  # fmt: skip
    try:
        made = decide(RULES, profile_of(lead, known), said, closed, "sales_contact", NOW)
    except NotJudged:
        assume(False)
    assert made == {name: Answer(one.is_allowed, one.rule_id) for name, one in decision.channels.items()}
