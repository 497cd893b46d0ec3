import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from shared.contracts import (
    ConsentChanged,
    LeadAssigned,
    LeadNurtured,
    LeadReassigned,
    LeadRetained,
    LeadUnassigned,
    SlaClockChanged,
)
from shared.ids import new_id
from shared.testing.builders import NOON, make_cleared, make_facts, make_lead, make_score, make_verdict


def make_case(lead_id: str | None = None, *, company_domain: str | None = None, **fields):
    return make_cleared(lead_id, facts=make_facts(company_domain=company_domain), **fields)


def make_block(lead_id: str, **fields) -> ConsentChanged:
    values = {
        "record_id": new_id(), "state": "withdrawn", "purposes": ("sales_contact",), "channels": ("email",),
        "changed_at": NOON, "may_contact": False, "method": "api",
    }  # fmt: skip
    return ConsentChanged(lead_id=lead_id, **{**values, **fields})


def make_clock(lead_id: str, assignment_id: str | None, **fields) -> SlaClockChanged:
    values = {
        "clock_id": new_id(), "policy_id": "first-touch", "policy_version": "1", "stage": "first_touch",
        "state": "breached", "started_at": NOON, "due_at": NOON, "changed_at": NOON, "action": "reassign",
        "assignment_id": assignment_id,
    }  # fmt: skip
    return SlaClockChanged(lead_id=lead_id, **{**values, **fields})


async def describe(harness, lead_id: str):
    response = await harness.http.get(f"/v1/leads/{lead_id}/routing")
    assert response.status_code == 200, response.text
    return response.json()


async def open_leads(harness) -> dict[str, int]:
    return {row["rep_id"]: row["open_leads"] for row in await harness.fetch("SELECT rep_id, open_leads FROM rep_load")}


async def test_a_cleared_lead_is_assigned_once_whatever_is_redelivered(routing, kit):
    await kit.add_rep(routing, "ana")
    (first,) = await routing.feed(make_case())
    (again,) = await routing.redeliver_last()
    assert isinstance(first, LeadAssigned)
    assert again == first
    assert await open_leads(routing) == {"ana": 1}


async def test_a_lead_that_comes_again_stays_with_its_owner(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob")
    lead_id = new_id()
    (assigned,) = await routing.feed(make_case(lead_id))
    (retained,) = await routing.feed(make_case(lead_id, score=make_score(is_mql=False)))
    assert isinstance(retained, LeadRetained)
    assert retained.owner == assigned.owner


async def test_a_lead_twice_in_one_batch_gets_one_owner(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob")
    lead_id = new_id()
    first, second = await routing.feed(make_case(lead_id), make_case(lead_id))
    assert (type(first), type(second)) == (LeadAssigned, LeadRetained)
    assert first.owner.assignment_id == second.owner.assignment_id


async def test_two_transactions_at_once_give_a_lead_one_owner(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob")
    lead_ids = [new_id() for _ in range(20)]
    await asyncio.gather(*(routing.feed(*(make_case(lead_id) for lead_id in lead_ids)) for _ in range(4)))
    rows = await routing.fetch("SELECT lead_id FROM assignment WHERE ended_at IS NULL")
    assert sorted(str(row["lead_id"]) for row in rows) == sorted(lead_ids)
    outcomes = await routing.fetch("SELECT outcome, count(*) FROM decision GROUP BY outcome ORDER BY outcome")
    assert [tuple(row) for row in outcomes] == [("assigned", 20), ("retained", 60)]


async def test_transactions_at_once_keep_every_rep_within_one_lead_of_its_share(routing, kit):
    for rep_id in ("ana", "bob", "cyd"):
        await kit.add_rep(routing, rep_id)
    batches = [[make_case() for _ in range(17)] for _ in range(6)]
    await asyncio.gather(*(routing.feed(*batch) for batch in batches))
    rows = await routing.fetch("SELECT rep_id FROM assignment")
    assert Counter(row["rep_id"] for row in rows) == {"ana": 34, "bob": 34, "cyd": 34}
    assert await open_leads(routing) == {"ana": 34, "bob": 34, "cyd": 34}


async def test_transactions_at_once_never_exceed_a_cap(routing, kit):
    await kit.add_rep(routing, "ana", max_open=5)
    await kit.add_rep(routing, "bob", max_per_day=7)
    await asyncio.gather(*(routing.feed(*(make_case() for _ in range(5))) for _ in range(6)))
    rows = await routing.fetch("SELECT rep_id FROM assignment")
    assert Counter(row["rep_id"] for row in rows) == {"ana": 5, "bob": 7}
    assert len(await routing.fetch("SELECT FROM fallback_entry WHERE reason = 'nobody_available'")) == 18


async def test_leads_of_one_company_go_to_one_rep_even_at_once(routing, kit):
    for rep_id in ("ana", "bob", "cyd"):
        await kit.add_rep(routing, rep_id)
    await asyncio.gather(*(routing.feed(make_case(company_domain="acme.example")) for _ in range(6)))
    rows = await routing.fetch("SELECT DISTINCT rep_id FROM assignment")
    assert len(rows) == 1


async def test_a_daily_cap_starts_anew_at_the_reps_midnight(routing, kit):
    await kit.add_rep(routing, "ana", max_per_day=1, time_zone="Europe/Berlin")
    first, second = await routing.feed(make_case(), make_case())
    assert (type(first), type(second)) == (LeadAssigned, LeadUnassigned)
    routing.clock.advance(hours=13)
    (third,) = await routing.feed(make_case())
    assert isinstance(third, LeadAssigned)


async def test_a_lead_below_the_threshold_is_nurtured_and_assigned_once_it_qualifies(routing, kit):
    await kit.add_rep(routing, "ana")
    lead_id = new_id()
    (nurtured,) = await routing.feed(make_case(lead_id, score=make_score(is_mql=False)))
    assert isinstance(nurtured, LeadNurtured)
    assert (await describe(routing, lead_id))["state"] == "unassigned"
    (assigned,) = await routing.feed(make_case(lead_id, trigger="activity"))
    assert isinstance(assigned, LeadAssigned)


async def test_a_lead_nobody_can_have_waits_until_somebody_can(routing, kit):
    lead_id = new_id()
    (queued,) = await routing.feed(make_case(lead_id))
    assert isinstance(queued, LeadUnassigned)
    assert (queued.reason, queued.rule_id) == ("fallback_queue", "emea")
    page = (await routing.http.get("/v1/fallback-queue")).json()
    assert [(item["lead_id"], item["reason"]) for item in page["items"]] == [(lead_id, "empty_pool")]
    await kit.add_rep(routing, "ana")
    (assigned,) = await routing.feed(make_case(lead_id))
    assert isinstance(assigned, LeadAssigned)
    assert (await routing.http.get("/v1/fallback-queue")).json()["items"] == []


async def test_a_breach_moves_the_lead_to_another_rep(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob")
    (assigned,) = await routing.feed(make_case(company_domain="acme.example"))
    (moved,) = await routing.feed(make_clock(assigned.lead_id, assigned.owner.assignment_id))
    assert isinstance(moved, LeadReassigned)
    assert (moved.owner.rep_id, moved.previous_rep_id) == ("bob", "ana")
    assert (moved.previous_assignment_id, moved.reason) == (assigned.owner.assignment_id, "sla:first-touch:first_touch")
    assert await open_leads(routing) == {"ana": 0, "bob": 1}
    history = (await describe(routing, assigned.lead_id))["history"]
    assert [(item["rep_id"], item["state"], item["via"]) for item in history] == [
        ("bob", "open", "sla"), ("ana", "ended", "rule"),
    ]  # fmt: skip
    (colleague,) = await routing.feed(make_case(company_domain="acme.example"))
    assert colleague.owner.rep_id == "bob"


async def test_a_breach_of_an_earlier_assignment_moves_nothing(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob")
    (assigned,) = await routing.feed(make_case())
    clock = make_clock(assigned.lead_id, assigned.owner.assignment_id)
    await routing.feed(clock)
    assert await routing.feed(clock) == []
    assert await routing.feed(make_clock(assigned.lead_id, new_id())) == []
    assert await routing.feed(make_clock(new_id(), new_id())) == []
    assert (await describe(routing, assigned.lead_id))["owner"]["rep_id"] == "bob"


async def test_a_breach_with_nobody_else_leaves_the_lead_and_records_why(routing, kit):
    await kit.add_rep(routing, "ana")
    (assigned,) = await routing.feed(make_case())
    assert await routing.feed(make_clock(assigned.lead_id, assigned.owner.assignment_id)) == []
    view = await describe(routing, assigned.lead_id)
    assert view["owner"]["rep_id"] == "ana"
    assert [member["lost_because"] for member in view["decision"]["trace"]["members"]] == ["previous_owner"]


async def test_a_deadline_that_was_met_frees_the_reps_capacity(routing, kit):
    await kit.add_rep(routing, "ana", max_open=1)
    (assigned,) = await routing.feed(make_case())
    met = make_clock(assigned.lead_id, assigned.owner.assignment_id, state="met", action="none")
    await routing.feed(met, met)
    assert await open_leads(routing) == {"ana": 0}
    assert (await describe(routing, assigned.lead_id))["owner"]["state"] == "worked"
    (second,) = await routing.feed(make_case())
    assert isinstance(second, LeadAssigned)


async def test_a_withdrawal_ends_the_assignment(routing, kit):
    await kit.add_rep(routing, "ana")
    (assigned,) = await routing.feed(make_case())
    (ended,) = await routing.feed(make_block(assigned.lead_id))
    assert isinstance(ended, LeadUnassigned)
    assert (ended.reason, ended.previous_assignment_id) == ("consent_withdrawn", assigned.owner.assignment_id)
    view = await describe(routing, assigned.lead_id)
    assert (view["state"], view["owner"], view["history"][0]["end_reason"]) == ("withheld", None, "consent_withdrawn")
    assert await open_leads(routing) == {"ana": 0}
    assert await routing.feed(make_block(assigned.lead_id)) == []


async def test_withdrawn_consent_blocks_routing_even_if_it_arrives_before_the_clearance(routing, kit):
    await kit.add_rep(routing, "ana")
    lead_id = new_id()
    assert await routing.feed(make_block(lead_id, changed_at=NOON + timedelta(seconds=1))) == []
    (held,) = await routing.feed(make_case(lead_id, verdict=make_verdict(decided_at=NOON)))
    assert isinstance(held, LeadUnassigned)
    assert held.reason == "consent_withdrawn"
    assert (await describe(routing, lead_id))["state"] == "withheld"


async def test_withdrawal_and_clearance_in_one_batch_leave_nobody_with_the_lead(routing, kit):
    await kit.add_rep(routing, "ana")
    lead_id = new_id()
    for batch in ([make_case(lead_id), make_block(lead_id)], [make_block(lead_id), make_case(lead_id)]):
        await routing.feed(*batch)
    assert await routing.fetch("SELECT FROM assignment WHERE ended_at IS NULL") == []


async def test_a_verdict_given_after_the_withdrawal_counts_again(routing, kit):
    await kit.add_rep(routing, "ana")
    lead_id = new_id()
    await routing.feed(make_block(lead_id))
    later = make_verdict(decided_at=NOON + timedelta(minutes=5))
    (assigned,) = await routing.feed(make_case(lead_id, verdict=later))
    assert isinstance(assigned, LeadAssigned)
    assert await routing.feed(make_block(lead_id, changed_at=NOON + timedelta(minutes=1))) == []
    assert (await describe(routing, lead_id))["state"] == "assigned"


async def test_a_withdrawal_takes_a_lead_out_of_the_fallback_queue(routing):
    (queued,) = await routing.feed(make_case())
    (ended,) = await routing.feed(make_block(queued.lead_id))
    assert (ended.reason, ended.previous_assignment_id) == ("consent_withdrawn", None)
    assert (await routing.http.get("/v1/fallback-queue")).json()["items"] == []


async def test_a_grant_moves_nothing(routing, kit):
    await kit.add_rep(routing, "ana")
    (assigned,) = await routing.feed(make_case())
    assert await routing.feed(make_block(assigned.lead_id, may_contact=True, state="given")) == []
    assert (await describe(routing, assigned.lead_id))["state"] == "assigned"


async def test_a_reassignment_supersedes_callbacks_that_name_the_wrong_owner(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    (assigned,) = await routing.feed(make_case())
    await routing.feed(make_clock(assigned.lead_id, assigned.owner.assignment_id))
    async with kit.delivering(routing):
        (delivery,) = await crm.received(1)
    assert delivery.json["type"] == "lead.reassigned"
    assert delivery.json["data"]["owner"]["rep_id"] == "bob"
    assert delivery.json["data"]["previous"]["rep_id"] == "ana"
    states = {c["event_type"]: c["state"] for c in (await describe(routing, assigned.lead_id))["callbacks"]}
    assert states == {"lead.assigned": "superseded", "lead.reassigned": "delivered"}


async def test_a_new_team_member_shares_from_the_next_lead_on_without_a_burst(routing, kit):
    await kit.add_rep(routing, "ana")
    await routing.feed(*(make_case() for _ in range(30)))
    await kit.add_rep(routing, "bob")
    await routing.feed(*(make_case() for _ in range(10)))
    rows = await routing.fetch("SELECT rep_id FROM assignment ORDER BY assignment_id DESC LIMIT 10")
    assert Counter(row["rep_id"] for row in rows) == {"ana": 5, "bob": 5}


async def test_a_document_that_is_applied_decides_the_next_lead(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob", team="other")
    text = "pools: [{id: only-bob, members: [{rep: bob}]}]\nrules: [{id: all, pool: only-bob}]"
    created = await routing.http.post("/v1/documents/routing/versions", json={"body": text, "why": "bob only"})
    assert created.status_code == 201, created.text
    applied = await routing.http.post("/v1/documents/routing/versions/2/apply", json={"why": "bob only"})
    assert applied.status_code == 200, applied.text
    (assigned,) = await routing.feed(make_case())
    assert (assigned.owner.rep_id, assigned.owner.rule_id, assigned.owner.document_version) == ("bob", "all", "2")


@pytest.mark.parametrize("country", ["DE", "US", None])
async def test_every_stored_decision_can_be_made_again(routing, kit, country):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob", team="americas")
    case = make_case(lead=make_lead(country=country))
    await routing.feed(case)
    decision = (await describe(routing, case.lead_id))["decision"]
    replayed = (await routing.http.get(f"/v1/decisions/{decision['decision_id']}/replay")).json()
    assert replayed["is_same"]
