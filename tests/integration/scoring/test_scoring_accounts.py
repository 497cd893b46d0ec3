"""Colleagues: with a model that says so, what one lead of an account does counts for the others; else nothing does."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from scoring.__main__ import build_service
from scoring.domain.account import PAUSE, account_of
from scoring.model_document import default_model_text
from scoring.repository import ScoringRepository
from scoring.roll_up import ACCOUNT_RESCORE
from scoring.settings import ScoringSettings
from shared.contracts import Event, LeadEnriched, LeadQualified, LeadScored
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import make_activity, make_enriched, make_facts, make_lead

VERSIONS = "/v1/documents/scoring_model/versions"
ACCOUNT = """
account:
  cap: 20
  signals:
    - {id: colleague_demo, activity: demo_request, points: 20}
    - {id: colleague_pricing, activity: pricing_page_view, points: 2}
"""


@pytest.fixture
async def rolling_up(create_database: Callable[[], str]) -> AsyncIterator[ServiceHarness]:
    async with ServiceHarness.start(build_service, ScoringSettings, create_database()) as harness:
        body = default_model_text() + ACCOUNT
        version = (await harness.http.post(VERSIONS, json={"body": body, "why": "a test"})).json()["version"]
        applied = await harness.http.post(f"{VERSIONS}/{version}/apply", json={"why": "a test"})
        assert applied.status_code == 200, applied.text
        yield harness


def director(lead_id: str, domain: str = "acme.example", **fields: Any) -> LeadEnriched:
    """A director of 300 people: 34 points of fit, 16 below an MQL."""
    facts = make_facts(seniority="director", company_domain=domain, email_kind="business")
    return make_enriched(lead_id, **{"lead": make_lead(industry=None, employees=300), "facts": facts, **fields})


def kinds_of(events: list[Event], lead_id: str) -> list[tuple[type[Event], float]]:
    return [
        (type(event), event.score.points)
        for event in events
        if isinstance(event, LeadScored | LeadQualified) and event.lead_id == lead_id
    ]


async def fire(harness: ServiceHarness) -> list[Event]:
    harness.clock.advance(seconds=PAUSE.total_seconds())
    return await harness.fire_due_timers()


async def accounts_of(harness: ServiceHarness, *lead_ids: str) -> list[str | None]:
    rows = await harness.fetch("SELECT lead_id::text, account::text FROM lead_account")
    known = {row["lead_id"]: row["account"] for row in rows}
    return [known.get(lead_id) for lead_id in lead_ids]


async def test_a_colleagues_demo_request_makes_an_mql_that_routing_gets(rolling_up: ServiceHarness) -> None:
    waiting, acting, stranger = new_id(), new_id(), new_id()
    await rolling_up.feed(director(waiting), director(acting), director(stranger, domain="else.example"))
    own = await rolling_up.feed(make_activity(acting, occurred_at=rolling_up.clock.now()))
    assert kinds_of(own, acting) == [(LeadScored, 64.0), (LeadQualified, 64.0)]
    fired = await fire(rolling_up)
    assert kinds_of(fired, waiting) == [(LeadScored, 54.0), (LeadQualified, 54.0)]
    assert [kinds_of(fired, lead_id) for lead_id in (acting, stranger)] == [[], []]
    rows = await rolling_up.fetch("SELECT trigger, is_mql FROM lead_score WHERE lead_id = $1", waiting)
    assert [tuple(row) for row in rows] == [("account", True)]


async def test_a_score_that_only_rises_is_stored_and_not_published(rolling_up: ServiceHarness) -> None:
    waiting, acting = new_id(), new_id()
    await rolling_up.feed(director(waiting), director(acting))
    await rolling_up.feed(make_activity(acting, kind="pricing_page_view", occurred_at=rolling_up.clock.now()))
    assert await fire(rolling_up) == []
    rows = await rolling_up.fetch(
        "SELECT trigger, round(points) AS points FROM score_decision WHERE lead_id = $1 ORDER BY decision_id", waiting
    )
    assert [tuple(row) for row in rows] == [("submission", 34.0), ("account", 36.0)]
    assert await rolling_up.fetch("SELECT FROM score_decision WHERE lead_id = $1 AND trigger = 'account'", acting) == []


async def test_an_account_that_acts_without_end_is_scored_again_once_a_pause(rolling_up: ServiceHarness) -> None:
    waiting, acting = new_id(), new_id()
    await rolling_up.feed(director(waiting), director(acting))
    for _ in range(4):
        await rolling_up.feed(make_activity(acting, kind="pricing_page_view", occurred_at=rolling_up.clock.now()))
        rolling_up.clock.advance(seconds=1)
    (timer,) = await rolling_up.fetch("SELECT key, due_at FROM timer WHERE kind = $1", ACCOUNT_RESCORE)
    assert timer["key"] == account_of(director(waiting).facts)
    assert timer["due_at"] <= rolling_up.clock.now() + PAUSE
    await fire(rolling_up)
    rows = await rolling_up.fetch("SELECT FROM score_decision WHERE lead_id = $1", waiting)
    assert len(rows) == 2


async def test_a_newcomer_is_scored_with_what_its_colleagues_did(rolling_up: ServiceHarness) -> None:
    acting, newcomer = new_id(), new_id()
    await rolling_up.feed(director(acting))
    await rolling_up.feed(make_activity(acting, occurred_at=rolling_up.clock.now()))
    emitted = await rolling_up.feed(director(newcomer))
    assert kinds_of(emitted, newcomer) == [(LeadScored, 54.0), (LeadQualified, 54.0)]
    answer = (await rolling_up.http.get(f"/v1/leads/{newcomer}/score")).json()
    assert answer["points"] == 54.0
    assert [(line["group"], line["source"], line["points"]) for line in answer["lines"]][-1] == (
        "account", "colleague_demo", 20.0,
    )  # fmt: skip


async def test_what_a_newcomer_brings_counts_for_those_who_were_there(rolling_up: ServiceHarness) -> None:
    waiting, newcomer = new_id(), new_id()
    await rolling_up.feed(director(waiting))
    await rolling_up.feed(make_activity(newcomer, occurred_at=rolling_up.clock.now()))
    assert await fire(rolling_up) == []
    await rolling_up.feed(director(newcomer))
    assert kinds_of(await fire(rolling_up), waiting) == [(LeadScored, 54.0), (LeadQualified, 54.0)]


@pytest.mark.parametrize("facts", [{"company_domain": "moved.example"}, {"email_kind": "free"}])
async def test_those_whom_a_colleague_leaves_are_scored_again_without_it(
    rolling_up: ServiceHarness, facts: dict[str, Any]
) -> None:
    waiting, acting = new_id(), new_id()
    await rolling_up.feed(director(waiting), director(acting))
    await rolling_up.feed(make_activity(acting, occurred_at=rolling_up.clock.now()))
    assert kinds_of(await fire(rolling_up), waiting) == [(LeadScored, 54.0), (LeadQualified, 54.0)]
    moved = {"seniority": "director", "company_domain": "acme.example", "email_kind": "business", **facts}
    await rolling_up.feed(director(acting, facts=make_facts(**moved)))
    assert kinds_of(await fire(rolling_up), waiting) == [(LeadQualified, 34.0)]


@pytest.mark.parametrize(("email_kind", "is_told"), [("business", True), ("free", False), ("role", False)])
async def test_only_a_lead_with_an_account_is_told_what_colleagues_could_do(
    rolling_up: ServiceHarness, email_kind: Any, is_told: bool
) -> None:
    lead_id = new_id()
    facts = make_facts(seniority="director", company_domain="acme.example", email_kind=email_kind)
    await rolling_up.feed(director(lead_id, facts=facts))
    answer = (await rolling_up.http.get(f"/v1/leads/{lead_id}/score/outlook")).json()
    assert any(option["is_colleagues"] for option in answer["to_mql"]["options"]) is is_told


async def test_decay_of_what_a_colleague_did_ends_an_mql(rolling_up: ServiceHarness) -> None:
    acting, newcomer = new_id(), new_id()
    await rolling_up.feed(director(acting))
    await rolling_up.feed(make_activity(acting, occurred_at=rolling_up.clock.now()))
    await rolling_up.feed(director(newcomer))
    (timer,) = await rolling_up.fetch("SELECT due_at FROM timer WHERE kind = 'mql_decay' AND key = $1", newcomer)
    ahead = timer["due_at"] - rolling_up.clock.now()
    rolling_up.clock.advance(seconds=(ahead - timedelta(milliseconds=1)).total_seconds())
    assert kinds_of(await rolling_up.fire_due_timers(), newcomer) == []
    rolling_up.clock.advance(milliseconds=1)
    assert kinds_of(await rolling_up.fire_due_timers(), newcomer) == [(LeadQualified, 44.99)]


async def test_a_lead_that_is_being_decided_is_scored_again_a_little_later(rolling_up: ServiceHarness) -> None:
    waiting, acting = new_id(), new_id()
    await rolling_up.feed(director(waiting), director(acting))
    await rolling_up.feed(make_activity(acting, occurred_at=rolling_up.clock.now()))
    async with rolling_up.runtime.work() as work:
        repo: ScoringRepository = work.repo
        await repo.lock_leads([waiting])
        assert kinds_of(await fire(rolling_up), waiting) == []
    rolling_up.clock.advance(seconds=1)
    assert kinds_of(await rolling_up.fire_due_timers(), waiting) == [(LeadScored, 54.0), (LeadQualified, 54.0)]


async def test_many_accounts_at_once_are_all_scored_again(rolling_up: ServiceHarness) -> None:
    pairs = [(new_id(), new_id(), f"company-{number}.example") for number in range(12)]
    await rolling_up.feed(*(director(one, domain) for waiting, acting, domain in pairs for one in (waiting, acting)))
    await rolling_up.feed(*(make_activity(acting, occurred_at=rolling_up.clock.now()) for _, acting, _ in pairs))
    rolling_up.clock.advance(seconds=PAUSE.total_seconds())
    fired = [event for _ in range(3) for event in await rolling_up.fire_due_timers()]
    assert {event.lead_id for event in fired} == {waiting for waiting, _, _ in pairs}


async def test_a_lead_belongs_to_the_account_of_its_latest_submission(scoring: ServiceHarness) -> None:
    lead_id, private, other = new_id(), new_id(), new_id()
    await scoring.feed(director(lead_id), director(other), make_enriched(private, facts=make_facts(email_kind="free")))
    first, unknown, same = await accounts_of(scoring, lead_id, private, other)
    assert (first is not None, unknown, same) == (True, None, first)
    await scoring.feed(director(lead_id, domain="moved.example"), director(other))
    assert await accounts_of(scoring, lead_id, other) == [account_of(director("", "moved.example").facts), first]
    await scoring.feed(director(lead_id, facts=make_facts(email_kind="free")))
    assert await accounts_of(scoring, lead_id, other) == [None, first]


async def test_without_an_account_group_nothing_is_rolled_up(scoring: ServiceHarness) -> None:
    waiting, acting = new_id(), new_id()
    await scoring.feed(director(waiting), director(acting))
    await scoring.feed(make_activity(acting, occurred_at=scoring.clock.now()))
    assert await scoring.fetch("SELECT FROM timer WHERE kind = $1", ACCOUNT_RESCORE) == []
    assert (await scoring.http.get(f"/v1/leads/{waiting}/score")).json()["points"] == 34.0


@pytest.mark.parametrize(
    ("kind", "points"),
    [("trial_started", 10.0), ("seats_added", 10.0), ("key_feature_used", 4.0), ("pricing_page_view", 5.0)],
)
async def test_product_and_intent_signals_score_their_lead(scoring: ServiceHarness, kind: Any, points: float) -> None:
    lead_id = new_id()
    await scoring.feed(director(lead_id))
    emitted = await scoring.feed(
        make_activity(lead_id, kind=kind, occurred_at=scoring.clock.now(), detail={"seats": "25"})
    )
    assert kinds_of(emitted, lead_id) == [(LeadScored, 34.0 + points)]
