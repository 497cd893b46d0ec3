"""Questions over HTTP: about a person, an address, and about what could have been done at an earlier instant."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from shared.contracts import ConsentSignal, LeadScored
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import NOON, make_facts, make_lead, make_origin, make_scored

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


async def ask(consent: ServiceHarness, *questions: Mapping[str, object]) -> list[tuple[bool, str]]:
    answer = await consent.http.post("/v1/consent/decisions", json={"questions": list(questions)})
    assert answer.status_code == 200, answer.text
    return [(one["allowed"], one["reason"]) for one in answer.json()["answers"]]


async def test_the_most_restrictive_of_all_who_have_an_address_counts(consent: ServiceHarness) -> None:
    phone = "+14155550100"
    yes, no = (make_lead(country="US", email=f"{name}@acme.example", phone=phone) for name in ("yes", "no"))
    willing, unwilling = new_id(), new_id()
    await consent.feed(scored(willing, lead=yes, consent=ticked()), scored(unwilling, lead=no, consent=ticked()))
    asked = {"phone": "+1 (415) 555-0100", "channel": "phone", "country": "US"}
    assert await ask(consent, asked) == [(True, "consent")]
    consent.clock.advance(minutes=1)
    await consent.http.post(f"/v1/leads/{unwilling}/consent/withdrawals", json={})
    assert await ask(consent, asked, {"lead_id": willing, "channel": "phone"}) == [
        (False, "withdrawn"),
        (True, "consent"),
    ]


async def test_former_address_still_finds_what_its_person_said(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, lead=make_lead(country="US", email="old@acme.example", phone=None)))
    await consent.feed(scored(lead_id, lead=make_lead(country="US", email="new@acme.example", phone=None)))
    await consent.http.post(f"/v1/leads/{lead_id}/consent/objections", json={})
    assert await ask(consent, {"email": "old@acme.example", "country": "US"}) == [(False, "objected")]


@pytest.mark.parametrize("address", [{"email": "n/a"}, {"phone": "call me"}, {"phone": "415 555 0100"}])
async def test_address_that_cannot_be_looked_up_is_denied(consent: ServiceHarness, address: dict[str, str]) -> None:
    assert await ask(consent, {**address, "country": "US"}) == [(False, "no_address")]


async def test_suppression_and_grants_count_from_their_instant_on(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, "FR"))
    instants = [consent.clock.now()]
    consent.clock.advance(hours=1)
    await consent.http.post(f"/v1/leads/{lead_id}/consent/grants", json=GRANT)
    instants.append(consent.clock.now())
    consent.clock.advance(hours=1)
    await consent.http.post("/v1/suppressions", json={"email": f"{lead_id}@acme.example", "why": "asked by letter"})
    instants.append(consent.clock.now())
    consent.clock.advance(hours=1)
    expected = [(False, "no_proof_of_consent"), (True, "consent"), (False, "suppressed")]
    by_lead = [{"lead_id": lead_id, "at": instant.isoformat()} for instant in instants]
    by_address = [{"email": f"{lead_id}@acme.example", "at": instant.isoformat()} for instant in instants]
    assert await ask(consent, *by_lead, *by_address) == expected * 2
    views = [
        (await consent.http.get(f"/v1/leads/{lead_id}/consent", params={"at": instant.isoformat()})).json()
        for instant in instants
    ]
    assert [(view["may_contact"], view["now"][0]["reason"]) for view in views] == expected
    assert [len(view["ledger"]) for view in views] == [0, 1, 1]
    assert [view["last_decision"]["channels"][0]["reason"] for view in views] == [
        "no_proof_of_consent", "consent", "consent",
    ]  # fmt: skip


async def test_many_questions_about_the_past_are_answered_each_from_its_own_lead(consent: ServiceHarness) -> None:
    leads = [new_id() for _ in range(50)]
    await consent.feed(*(scored(lead_id, "FR", consent=ticked()) for lead_id in leads))
    consent.clock.advance(days=1)
    before = [{"lead_id": lead_id, "at": (NOON - timedelta(minutes=1)).isoformat()} for lead_id in leads]
    after = [{"lead_id": lead_id, "at": (NOON + timedelta(minutes=1)).isoformat()} for lead_id in leads]
    assert await ask(consent, *before, *after) == [(False, "no_proof_of_consent")] * 50 + [(True, "consent")] * 50


async def test_same_key_with_the_same_words_at_the_same_instant_is_one_statement(consent: ServiceHarness) -> None:
    lead_id, headers = new_id(), {"Idempotency-Key": "w-1"}
    path = f"/v1/leads/{lead_id}/consent/withdrawals"
    ahead = (consent.clock.now() + timedelta(seconds=30)).isoformat()
    bodies = [{"happened_at": ahead}, {"happened_at": ahead}, {"happened_at": NOON.replace(hour=1).isoformat()}]
    answers = []
    for body in bodies:
        answers.append((await consent.http.post(path, json=body, headers=headers)).status_code)
        consent.clock.advance(minutes=5)
    assert answers == [201, 201, 422]


async def test_grant_by_a_pre_ticked_box_is_refused(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, "FR"))
    body = {**GRANT, "method": "pre_ticked_box"}
    answer = await consent.http.post(f"/v1/leads/{lead_id}/consent/grants", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/method"]
