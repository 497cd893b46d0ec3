"""The consent service against a real Postgres: what it lets through, what it remembers, whom it tells."""

from datetime import timedelta

import pytest

from shared.contracts import ConsentChanged, ConsentSignal, Event, LeadCleared, LeadScored, LeadWithheld
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import NOON, make_activity, make_facts, make_lead, make_origin, make_scored

GRANT = {
    "purposes": ["sales_contact"],
    "channels": ["email"],
    "method": "phone_call",
    "notice_version": "2026-01",
    "text_shown": "You may write to me.",
}


def scored(lead_id: str, country: str = "US", **fields: object) -> LeadScored:
    values: dict[str, object] = {
        "lead": make_lead(country=country, email=f"{lead_id}@acme.example", phone=None),
        "facts": make_facts(),
        "origin": make_origin(source_kind="zoom"),
    }
    return make_scored(lead_id, **{**values, **fields})


def ticked(**fields: object) -> tuple[ConsentSignal, ...]:
    values: dict[str, object] = {
        "state": "given",
        "purposes": ("sales_contact", "marketing"),
        "channels": ("email", "phone"),
        "at": NOON,
        "method": "zoom",
        "notice_version": "2026-01",
    }
    return (ConsentSignal(**{**values, **fields}),)  # type: ignore[arg-type]


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


async def test_lead_is_cleared_or_withheld_with_reason_and_evidence(consent: ServiceHarness) -> None:
    us, fr, proved = new_id(), new_id(), new_id()
    events = await consent.feed(scored(us), scored(fr, "FR"), scored(proved, "FR", consent=ticked()))
    assert kinds(events) == ["LeadCleared", "LeadWithheld", "LeadCleared"]
    verdicts = [event.verdict for event in events if isinstance(event, LeadCleared | LeadWithheld)]
    assert [verdict.reason for verdict in verdicts] == ["opt_out_regime", "no_proof_of_consent", "consent"]
    assert verdicts[2].evidence_ids != ()
    assert verdicts[2].channels == ("email",)


async def test_redelivery_repeats_the_decision_and_adds_nothing(consent: ServiceHarness) -> None:
    first = await consent.feed(scored(new_id(), "FR", consent=ticked()))
    assert await consent.redeliver_last() == first
    assert len(await consent.fetch("SELECT * FROM consent_event")) == 1
    assert len(await consent.fetch("SELECT * FROM consent_decision")) == 1


async def test_batch_decides_as_one_by_one_would(consent: ServiceHarness) -> None:
    lead_id = new_id()
    refused = scored(lead_id, "FR", consent=ticked(state="refused", at=NOON - timedelta(minutes=1)))
    together = await consent.feed(refused, scored(lead_id, "FR", consent=ticked()), scored(lead_id, "FR"))
    assert kinds(together) == ["LeadWithheld", "LeadCleared", "LeadCleared"]


async def test_unsubscribe_stops_the_lead_and_tells_routing(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id))
    consent.clock.advance(minutes=1)
    [change] = await consent.feed(make_activity(lead_id, kind="unsubscribe", occurred_at=consent.clock.now()))
    assert isinstance(change, ConsentChanged)
    assert (change.state, change.may_contact) == ("withdrawn", False)
    [again] = await consent.feed(scored(lead_id))
    assert isinstance(again, LeadWithheld)


async def test_activity_known_before_its_lead_counts_when_the_lead_arrives(consent: ServiceHarness) -> None:
    unsubscribed, bounced = new_id(), new_id()
    await consent.feed(make_activity(unsubscribed, kind="unsubscribe"), make_activity(bounced, kind="hard_bounce"))
    events = await consent.feed(scored(unsubscribed), scored(bounced))
    assert [e.verdict.reason for e in events if isinstance(e, LeadWithheld)] == ["suppressed", "suppressed"]


async def test_new_lead_with_a_suppressed_address_is_withheld(consent: ServiceHarness) -> None:
    lead_id, reimported = new_id(), new_id()
    await consent.feed(scored(lead_id))
    await consent.feed(make_activity(lead_id, kind="complaint"))
    [event] = await consent.feed(scored(reimported, lead=make_lead(country="US", email=f"{lead_id}@ACME.example")))
    assert isinstance(event, LeadWithheld)
    assert event.verdict.reason == "suppressed"


async def test_hard_bounce_closes_the_email_channel_only(consent: ServiceHarness) -> None:
    lead_id = new_id()
    lead = make_lead(country="US", email="x@acme.example", phone="+14155550100")
    phone = ticked(channels=("phone",))
    await consent.feed(scored(lead_id, lead=lead, consent=phone))
    [change] = await consent.feed(make_activity(lead_id, kind="hard_bounce"))
    assert isinstance(change, ConsentChanged)
    assert change.may_contact is True
    [event] = await consent.feed(scored(lead_id, lead=lead))
    assert isinstance(event, LeadCleared)
    assert event.verdict.channels == ("phone",)


async def test_implied_consent_expires_by_timer_and_routing_is_told(consent: ServiceHarness) -> None:
    lead_id = new_id()
    origin = make_origin(source_kind="web_form")
    [event] = await consent.feed(scored(lead_id, "CA", origin=origin))
    assert isinstance(event, LeadCleared)
    consent.clock.advance(days=180)
    assert await consent.fire_due_timers() == []
    consent.clock.advance(days=2)
    [change] = await consent.fire_due_timers()
    assert isinstance(change, ConsentChanged)
    assert (change.state, change.may_contact) == ("expired", False)
    assert await consent.fire_due_timers() == []


async def test_gpc_is_recorded_as_objection_to_sale_and_sharing(consent: ServiceHarness) -> None:
    lead_id = new_id()
    lead = make_lead(country="US", region="US-CA", email="gpc@acme.example", phone=None)
    [event] = await consent.feed(scored(lead_id, lead=lead, has_gpc=True))
    assert isinstance(event, LeadCleared)
    questions = [{"lead_id": lead_id, "purpose": purpose} for purpose in ("sale_share", "sales_contact")]
    answer = await consent.http.post("/v1/consent/decisions", json={"questions": questions})
    assert [(one["allowed"], one["reason"]) for one in answer.json()["answers"]] == [
        (False, "objected"),
        (True, "opt_out_regime"),
    ]


async def test_grant_over_http_sends_a_withheld_lead_on(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, "FR"))
    answer = await consent.http.post(f"/v1/leads/{lead_id}/consent/grants", json=GRANT)
    assert answer.status_code == 201
    assert answer.json()["may_contact"] is True
    assert sorted(kinds(await consent.published())) == ["ConsentChanged", "LeadCleared"]
    audit = (await consent.http.get("/v1/audit")).json()["items"]
    assert [row["action"] for row in audit] == ["consent.given"]


async def test_withdrawal_over_http_is_effective_at_once_and_told_once_per_key(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id))
    for expected in (False, True):
        answer = await consent.http.post(
            f"/v1/leads/{lead_id}/consent/withdrawals", json={}, headers={"Idempotency-Key": "w-1"}
        )
        assert answer.json()["duplicate"] is expected
    [change] = await consent.published()
    assert isinstance(change, ConsentChanged)
    assert change.may_contact is False
    view = (await consent.http.get(f"/v1/leads/{lead_id}/consent")).json()
    assert view["may_contact"] is False
    assert view["now"][0]["reason"] == "withdrawn"
    assert [row["state"] for row in view["ledger"]] == ["withdrawn"]
    assert view["last_decision"]["channels"][0]["considered"][0]["rule_id"] == "WITHDRAWAL"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"notice_version": None}, "/notice_version"),
        ({"text_shown": ""}, "/text_shown"),
        ({"purposes": []}, "/purposes"),
        ({"channels": ["fax"]}, "/channels/0"),
        ({"happened_at": "2027-01-01T00:00:00Z"}, "/happened_at"),
        ({"happened_at": "2026-01-01T00:00:00"}, "/happened_at"),
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_grant_without_proof_or_from_the_future_is_refused(
    consent: ServiceHarness, change: dict[str, object], pointer: str
) -> None:
    answer = await consent.http.post(f"/v1/leads/{new_id()}/consent/grants", json={**GRANT, **change})
    assert answer.status_code == 422
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}


async def test_question_about_an_address_is_answered_by_its_suppression(consent: ServiceHarness) -> None:
    put = await consent.http.post("/v1/suppressions", json={"email": "Gone@x.example", "why": "asked by phone"})
    assert put.status_code == 201
    body = {"questions": [{"email": "gone@x.example", "country": "US"}, {"email": "here@x.example", "country": "US"}]}
    answers = (await consent.http.post("/v1/consent/decisions", json=body)).json()["answers"]
    assert [one["reason"] for one in answers] == ["suppressed", "opt_out_regime"]
    listed = (await consent.http.get("/v1/suppressions")).json()["items"]
    assert [item["address_hash"] for item in listed] == [put.json()["address_hash"]]
    assert "gone@" not in str(listed).lower()


async def test_no_inside_a_new_submission_ends_an_assignment(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id))
    consent.clock.advance(minutes=1)
    no = ticked(state="objected", at=consent.clock.now(), purposes=("newsletter",), channels=())
    withheld, change = await consent.feed(scored(lead_id, consent=no))
    assert isinstance(withheld, LeadWithheld)
    assert isinstance(change, ConsentChanged)
    assert (change.state, change.may_contact) == ("objected", False)


async def test_objection_told_by_a_crm_closes_every_channel_it_names(consent: ServiceHarness) -> None:
    lead_id = new_id()
    lead = make_lead(country="US", email="x@acme.example", phone="+14155550100")
    await consent.feed(scored(lead_id, lead=lead, consent=ticked(channels=("phone",))))
    consent.clock.advance(minutes=1)
    detail = {"state": "objected", "purposes": "sales_contact marketing", "channels": "email phone sms"}
    await consent.feed(make_activity(lead_id, kind="unsubscribe", occurred_at=consent.clock.now(), detail=detail))
    assert isinstance((await consent.feed(scored(lead_id, lead=lead)))[0], LeadWithheld)


async def test_person_who_said_no_is_found_by_address_too(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id))
    await consent.http.post(f"/v1/leads/{lead_id}/consent/withdrawals", json={})
    body = {"questions": [{"email": f"{lead_id.upper()}@acme.example", "country": "US"}]}
    [answer] = (await consent.http.post("/v1/consent/decisions", json=body)).json()["answers"]
    assert (answer["allowed"], answer["reason"]) == (False, "withdrawn")


async def test_question_about_the_past_is_answered_from_what_was_said_by_then(consent: ServiceHarness) -> None:
    lead_id = new_id()
    before = consent.clock.now()
    await consent.feed(scored(lead_id))
    consent.clock.advance(hours=1)
    await consent.http.post(f"/v1/leads/{lead_id}/consent/withdrawals", json={})
    consent.clock.advance(hours=1)
    now = (await consent.http.get(f"/v1/leads/{lead_id}/consent")).json()
    then = (await consent.http.get(f"/v1/leads/{lead_id}/consent", params={"at": before.isoformat()})).json()
    assert (now["may_contact"], then["may_contact"]) == (False, True)


async def test_suppressing_an_address_stops_the_leads_that_have_it(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id))
    await consent.http.post("/v1/suppressions", json={"email": f"{lead_id}@acme.example", "why": "asked by phone"})
    [change] = await consent.fire_due_timers()
    assert isinstance(change, ConsentChanged)
    assert (change.lead_id, change.may_contact) == (lead_id, False)


async def test_purchase_releases_a_withheld_lead_once(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, "FR"))
    events = await consent.feed(make_activity(lead_id, kind="won"))
    assert kinds(events) == ["LeadCleared"]
    assert await consent.feed(make_activity(lead_id, kind="won")) == []


async def test_key_used_again_for_something_else_is_refused(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, "FR"))
    path, headers = f"/v1/leads/{lead_id}/consent/grants", {"Idempotency-Key": "g-1"}
    assert (await consent.http.post(path, json=GRANT, headers=headers)).status_code == 201
    other = await consent.http.post(path, json={**GRANT, "channels": ["phone"]}, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"].endswith("/idempotency_conflict")


async def test_nobody_can_grant_for_an_unknown_lead_but_a_no_is_taken(consent: ServiceHarness) -> None:
    lead_id = new_id()
    assert (await consent.http.post(f"/v1/leads/{lead_id}/consent/grants", json=GRANT)).status_code == 404
    assert (await consent.http.post(f"/v1/leads/{lead_id}/consent/withdrawals", json={})).status_code == 201
    assert isinstance((await consent.feed(scored(lead_id)))[0], LeadWithheld)


@pytest.mark.parametrize("address", [{"email": "nonsense"}, {"phone": "call me"}])
async def test_suppressing_no_address_is_refused(consent: ServiceHarness, address: dict[str, str]) -> None:
    answer = await consent.http.post("/v1/suppressions", json={**address, "why": "asked"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{next(iter(address))}"


async def test_release_needs_a_reason_and_is_audited(consent: ServiceHarness) -> None:
    put = await consent.http.post("/v1/suppressions", json={"phone": "+4930901820", "why": "asked"})
    path = f"/v1/suppressions/{put.json()['address_hash']}"
    assert (await consent.http.request("DELETE", path, json={})).status_code == 422
    assert (await consent.http.request("DELETE", path, json={"why": "wrong number"})).status_code == 204
    assert (await consent.http.request("DELETE", path, json={"why": "wrong number"})).status_code == 404
    audit = (await consent.http.get("/v1/audit")).json()["items"]
    assert [row["action"] for row in audit] == ["suppression.removed", "suppression.added"]


@pytest.mark.parametrize("table", ["consent_event", "consent_decision"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET lead_id = lead_id", "DELETE FROM {}", "TRUNCATE {}"])
async def test_ledger_and_decisions_cannot_be_rewritten(consent: ServiceHarness, table: str, statement: str) -> None:
    with pytest.raises(Exception, match="append-only"):
        await consent.fetch(statement.format(table))


async def test_unknown_lead_is_404_and_a_key_without_scope_403(consent: ServiceHarness) -> None:
    assert (await consent.http.get(f"/v1/leads/{new_id()}/consent")).status_code == 404
    async with consent.http_as("leads:read") as reader:
        answer = await reader.post(f"/v1/leads/{new_id()}/consent/withdrawals", json={})
    assert answer.status_code == 403
