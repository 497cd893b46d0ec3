"""Whatever ends a permission is told to routing once and stands in the ledger; nothing is closed that nobody named."""

import asyncpg
import pytest

from consent.domain.suppression import hash_address
from consent.repository import ConsentRepository
from shared.contracts import ConsentChanged, ConsentSignal, Event, LeadCleared, LeadScored, LeadWithheld
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import NOON, make_activity, make_facts, make_lead, make_origin, make_scored


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


REACHABLE = {"country": "US", "email": "x@acme.example", "phone": "+14155550100"}


async def test_permission_lost_and_regained_in_one_batch_is_no_block(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id))
    consent.clock.advance(minutes=1)
    no = ticked(state="withdrawn", at=consent.clock.now())
    consent.clock.advance(minutes=1)
    yes = ticked(at=consent.clock.now())
    events = await consent.feed(scored(lead_id, consent=no), scored(lead_id, consent=yes))
    assert kinds(events) == ["LeadWithheld", "LeadCleared"]


async def test_permission_first_given_and_lost_in_one_batch_is_told(consent: ServiceHarness) -> None:
    lead_id = new_id()
    events = await consent.feed(scored(lead_id), scored(lead_id, consent=ticked(state="objected")))
    assert sorted(kinds(events)) == ["ConsentChanged", "LeadCleared", "LeadWithheld"]


async def test_move_to_a_stricter_place_is_told_and_stands_in_the_ledger(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, "US"))
    events = await consent.feed(scored(lead_id, "FR"))
    assert kinds(events) == ["LeadWithheld", "ConsentChanged"]
    [row] = await consent.fetch("SELECT record_id, state, method FROM consent_event")
    assert (row["state"], row["method"]) == ("expired", "no_proof_of_consent")
    assert row["record_id"] == events[1].record_id  # type: ignore[attr-defined]


async def test_activity_that_finds_permission_gone_tells_it(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, "CA", origin=make_origin(source_kind="web_form")))
    consent.clock.advance(days=365)
    [change] = await consent.feed(make_activity(lead_id, kind="demo_request"))
    assert isinstance(change, ConsentChanged)
    assert (change.state, change.may_contact) == ("expired", False)
    assert await consent.fire_due_timers() == []


async def test_unsubscribe_of_one_lead_stops_another_with_the_same_mailbox(consent: ServiceHarness) -> None:
    one, other = new_id(), new_id()
    shared = make_lead(country="US", email="shared@acme.example", phone=None)
    await consent.feed(scored(one, lead=shared), scored(other, lead=shared))
    await consent.feed(make_activity(one, kind="unsubscribe"))
    [change] = await consent.fire_due_timers()
    assert isinstance(change, ConsentChanged)
    assert (change.lead_id, change.may_contact, change.method) == (other, False, "suppressed")
    assert await consent.fire_due_timers() == []


async def test_suppression_waits_for_a_lead_that_is_being_decided(consent: ServiceHarness) -> None:
    runtime = consent.runtime
    digest = hash_address(b"pepper", "email", "late@acme.example")
    async with runtime.database.transaction() as deciding:
        repository: ConsentRepository = runtime.service.repository(deciding)
        await repository.lock_leads([new_id()], [digest])
        async with runtime.database.transaction() as suppressing:
            await suppressing.execute("SET LOCAL lock_timeout = '20ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await runtime.service.repository(suppressing).suppress(
                    [(digest, ("email",), "asked")], consent.clock.now(), "test"
                )


async def test_objection_to_calls_leaves_the_mailbox_open(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, lead=make_lead(**REACHABLE), consent=ticked()))
    consent.clock.advance(minutes=1)
    detail = {"state": "objected", "purposes": "sales_contact marketing", "channels": "phone sms"}
    await consent.feed(make_activity(lead_id, kind="unsubscribe", occurred_at=consent.clock.now(), detail=detail))
    [event] = await consent.feed(scored(lead_id, lead=make_lead(**REACHABLE)))
    assert isinstance(event, LeadCleared)
    assert event.verdict.channels == ("email",)


async def test_objection_closes_the_number_for_a_reimport(consent: ServiceHarness) -> None:
    detail = {"state": "objected", "purposes": "sales_contact marketing", "channels": "email phone sms"}
    lead_id = new_id()
    await consent.feed(scored(lead_id, lead=make_lead(**REACHABLE)))
    await consent.feed(make_activity(lead_id, kind="unsubscribe", detail=detail))
    again = make_lead(**{**REACHABLE, "email": None})
    [event] = await consent.feed(scored(new_id(), lead=again, consent=ticked()))
    assert isinstance(event, LeadWithheld)
    assert event.verdict.reason != "consent"


async def test_objection_to_sale_only_suppresses_nothing(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id))
    detail = {"state": "objected", "purposes": "sale_share", "channels": "email phone sms"}
    [change] = await consent.feed(make_activity(lead_id, kind="unsubscribe", detail=detail))
    assert isinstance(change, ConsentChanged)
    assert change.may_contact is True
    assert await consent.fetch("SELECT * FROM suppression") == []


async def test_early_objection_to_calls_is_remembered_for_the_number(consent: ServiceHarness) -> None:
    lead_id = new_id()
    detail = {"state": "objected", "channels": "phone sms"}
    await consent.feed(make_activity(lead_id, kind="unsubscribe", detail=detail))
    await consent.feed(scored(lead_id, lead=make_lead(**REACHABLE)))
    [row] = await consent.fetch("SELECT address_hash, channels FROM suppression")
    assert sorted(row["channels"]) == ["phone", "sms"]


async def test_expiry_of_a_withheld_lead_clears_nothing_silently(consent: ServiceHarness) -> None:
    lead_id = new_id()
    await consent.feed(scored(lead_id, "CA", origin=make_origin(source_kind="web_form")))
    await consent.feed(make_activity(lead_id, kind="complaint"))
    consent.clock.advance(days=200)
    assert await consent.fire_due_timers() == []
    assert [row["is_cleared"] for row in await consent.fetch("SELECT is_cleared FROM lead_consent")] == [False]
