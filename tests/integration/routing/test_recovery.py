"""What routing learns again from announcements after its database forgot them."""

import pytest

from shared.contracts import ConsentChanged, Event, LeadAssigned, LeadUnassigned
from shared.ids import new_id
from shared.runtime import Received
from shared.testing.builders import NOON, make_cleared, make_facts, make_verdict

FORGOTTEN = ("callback", "assignment", "decision", "lead", "account", "rep_load", "pool_member")


def make_case(lead_id: str | None = None, **fields):
    return make_cleared(lead_id, facts=make_facts(company_domain=None), **fields)


async def learn(harness, *events: Event):
    """Have the recovery see *events*, as it does when it reads the topics."""
    recovery = harness.runtime.service.recovery
    async with harness.runtime.work() as work:
        for event in events:
            await recovery[type(event)](work, [Received(event, new_id(), event.lead_id, work.now)])


async def forget(harness):
    for table in FORGOTTEN:
        await harness.fetch(f"TRUNCATE {table}" if table != "rep_load" else "UPDATE rep_load SET open_leads = 0")


async def callbacks(harness):
    return [
        (row["id"], row["body"]) for row in await harness.fetch("SELECT callback_id::text AS id, body FROM callback")
    ]


@pytest.fixture
async def assigned(routing, crm, kit):
    """Return an assignment as it was announced, with a second rep whose turn would be next."""
    await kit.add_rep(routing, "ana", email="ana@example.com")
    await kit.add_rep(routing, "bob")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    (event,) = await routing.feed(make_case())
    assert isinstance(event, LeadAssigned)
    return event


async def test_a_forgotten_assignment_is_the_owner_again_and_the_crm_is_told_under_the_same_id(routing, assigned):
    told = await callbacks(routing)
    await forget(routing)
    await learn(routing, assigned, assigned)
    rows = await routing.fetch("SELECT assignment_id::text, rep_id FROM assignment WHERE ended_at IS NULL")
    assert [tuple(row) for row in rows] == [(assigned.owner.assignment_id, assigned.owner.rep_id)]
    assert await callbacks(routing) == told
    assert await routing.published() == []


async def test_a_lead_whose_assignment_was_learned_stays_with_its_owner_when_it_is_redelivered(routing, assigned):
    await forget(routing)
    await learn(routing, assigned)
    (event,) = await routing.feed(make_case(assigned.lead_id))
    assert event.owner == assigned.owner


async def test_a_learned_assignment_counts_for_its_rep_once(routing, assigned):
    await forget(routing)
    await learn(routing, assigned)
    await learn(routing, assigned)
    rows = await routing.fetch("SELECT rep_id, open_leads FROM rep_load WHERE open_leads > 0")
    assert [tuple(row) for row in rows] == [(assigned.owner.rep_id, 1)]


async def test_a_learned_end_ends_the_assignment(routing, assigned):
    ended = LeadUnassigned(
        lead_id=assigned.lead_id,
        origin=assigned.origin,
        reason="consent_withdrawn",
        previous_assignment_id=assigned.owner.assignment_id,
    )
    await forget(routing)
    await learn(routing, assigned, ended)
    assert await routing.fetch("SELECT FROM assignment WHERE ended_at IS NULL") == []


async def test_a_learned_no_holds_a_clearance_from_before_it(routing, assigned):
    no = ConsentChanged(
        lead_id=new_id(), record_id=new_id(), state="withdrawn", purposes=("sales_contact",), channels=("email",),
        changed_at=NOON, may_contact=False, method="api",
    )  # fmt: skip
    await learn(routing, no)
    (event,) = await routing.feed(make_case(no.lead_id, verdict=make_verdict(decided_at=NOON)))
    assert (type(event), event.reason) == (LeadUnassigned, "consent_withdrawn")
