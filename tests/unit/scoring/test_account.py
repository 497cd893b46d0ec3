"""What others of a lead's account did counts for it where the model says so, and only there."""

from datetime import UTC, datetime, timedelta

import pytest

from scoring.domain.account import Deed, account_of, colleagues_activities
from scoring.domain.activity import Activity
from scoring.domain.decision import LeadState, Profile, mql_ends_at, on_activity, on_colleague, on_decay, on_submission
from scoring.domain.score import score_lead
from scoring.model_document import default_model_text, parse_model
from shared.contracts import ActivityKind, EmailKind, Facts, Lead, Origin

ACCOUNT = """
account:
  cap: 20
  signals:
    - {id: colleague_demo, activity: demo_request, points: 15, look_back_days: 30}
    - {id: colleague_visit, activity: website_visit, points: 1, at_most: {times: 2, days: 1}}
"""
DEFAULT = parse_model(default_model_text())
MODEL = parse_model(default_model_text() + ACCOUNT)
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def did(kind: ActivityKind = "demo_request", *, is_colleagues: bool = True, number: int = 0) -> Activity:
    return Activity(
        activity_id=f"{kind}-{number}", kind=kind, occurred_at=NOW, known_at=NOW, is_colleagues=is_colleagues
    )


def make_state(*colleagues: Activity, is_mql: bool = False, decided: float = 0.0) -> LeadState:
    """A director of 300 people, 34 points of fit, in an account whose others did *colleagues*."""
    origin = Origin(
        submission_id="s", record_id="r", source_key="demo", source_kind="web_form", received_at=NOW, is_new_lead=True
    )
    profile = Profile(origin=origin, lead=Lead(employees=300), facts=Facts(seniority="director"))
    return LeadState("lead", profile, is_mql=is_mql, decided_points=decided, colleagues=colleagues)


def engagement(*done: Activity) -> int:
    return score_lead(MODEL, Lead(), Facts(), done, NOW).engagement


def test_one_domain_is_one_account_however_it_is_written() -> None:
    one, other = (Facts(email_kind="business", company_domain=domain) for domain in ("acme.example", "ACME.example."))
    assert account_of(one) == account_of(other)
    assert account_of(one) != account_of(Facts(email_kind="business", company_domain="acme-two.example"))


@pytest.mark.parametrize("kind", ["free", "disposable", "role", "student", "unknown"])
def test_a_mailbox_that_is_no_business_mailbox_is_in_no_account(kind: EmailKind) -> None:
    assert account_of(Facts(email_kind=kind, company_domain="acme.example")) is None
    assert account_of(Facts(email_kind="business")) is None


def test_an_account_id_says_nothing_of_the_company() -> None:
    account = account_of(Facts(email_kind="business", company_domain="jane-doe.example"))
    assert account is not None
    assert "jane" not in account
    assert len(account) == 36


def test_nobody_is_a_colleague_of_oneself() -> None:
    deeds = [Deed("lead", did(number=1)), Deed("other", did(number=2)), Deed("third", did(number=3))]
    assert [each.activity_id for each in colleagues_activities(deeds, "lead")] == ["demo_request-2", "demo_request-3"]


def test_what_colleagues_did_gives_points_under_a_cap_of_its_own() -> None:
    assert engagement(did()) == 1500
    assert engagement(did(), did(number=1)) == 2000
    assert engagement(did("website_visit"), did("website_visit", number=1), did("website_visit", number=2)) == 200
    assert engagement(did(), did(is_colleagues=False)) == 1500 + 3000


def test_what_colleagues_did_is_not_what_the_lead_did() -> None:
    assert engagement(did("webinar_attendance"), did("email_reply"), did("unsubscribe")) == 0
    assert score_lead(DEFAULT, Lead(), Facts(), [did()], NOW).lines == ()


def test_colleagues_can_make_an_mql() -> None:
    state = make_state(did(), did("website_visit"), decided=34.0)
    decision = on_colleague(MODEL, "1", state, NOW)
    assert decision is not None
    assert (decision.trigger, decision.turned_mql, decision.score.points) == ("account", True, 50.0)


@pytest.mark.parametrize(("decided", "is_news"), [(34.0, True), (48.99, True), (49.0, False), (80.0, False)])
def test_only_a_score_that_rose_is_news(decided: float, is_news: bool) -> None:
    state = make_state(did(), decided=decided)
    assert (on_colleague(MODEL, "1", state, NOW) is not None) is is_news


def test_of_a_lead_nobody_knows_colleagues_decide_nothing() -> None:
    assert on_colleague(MODEL, "1", LeadState("lead", colleagues=[did()]), NOW) is None


def test_what_colleagues_did_counts_in_every_decision_about_a_lead() -> None:
    state = make_state(did())
    assert state.profile is not None
    assert on_submission(MODEL, "1", state, state.profile, [], NOW).score.engagement == 15.0
    decision = on_activity(MODEL, "1", state, did("content_download", is_colleagues=False), NOW)
    assert decision is not None
    assert decision.score.engagement == 20.0


def test_an_mql_ends_when_what_a_colleague_did_is_too_long_ago() -> None:
    # 34 of fit and 15 of a colleague, fading: below 45 before the window of 30 days ends.
    state = make_state(did(), is_mql=True)
    assert state.profile is not None
    result = score_lead(MODEL, state.profile.lead, state.profile.facts, state.scored_activities(), NOW)
    ends_at = mql_ends_at(MODEL, state, result, NOW)
    assert ends_at is not None
    assert on_decay(MODEL, "1", state, ends_at - timedelta(milliseconds=1)) is None
    assert on_decay(MODEL, "1", state, ends_at) is not None
