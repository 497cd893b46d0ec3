"""What ingest learns again from its own announcements after its database forgot them."""

from collections.abc import Awaitable, Callable

from shared.contracts import ActivityRecorded, Event, LeadCaptured
from shared.ids import new_id
from shared.runtime import Received
from shared.testing import ServiceHarness

MakeSource = Callable[..., Awaitable[str]]
FORGOTTEN = "TRUNCATE record, identity, delivery, submission, ledger_delta, lead"


async def learn(ingest: ServiceHarness, *events: Event) -> None:
    """Have the recovery see *events*, as it does when it reads the topics."""
    recovery = ingest.runtime.service.recovery
    async with ingest.runtime.work() as work:
        for event in events:
            await recovery[type(event)](work, [Received(event, new_id(), event.lead_id, work.now)])


async def announced(ingest: ServiceHarness) -> list[Event]:
    return [event for event in await ingest.published() if isinstance(event, LeadCaptured | ActivityRecorded)]


async def test_a_forgotten_record_is_known_and_counted_again_however_often_it_is_learned(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    path = await make_source("web_form")
    record = (await ingest.http.post(path, json={"email": fresh_email()})).json()["records"][0]
    events = await announced(ingest)
    await ingest.fetch(FORGOTTEN)
    await learn(ingest, *events)
    await learn(ingest, *events)
    ledger = (await ingest.http.get("/v1/ledger", params={"verify": True})).json()
    assert (ledger["accepted"], ledger["balanced"]) == (1, True)
    [row] = await ingest.fetch("SELECT record_id::text, state, lead_id::text FROM record")
    assert (row["record_id"], row["state"], row["lead_id"]) == (record["record_id"], "in_flight", events[0].lead_id)


async def test_a_person_who_comes_again_is_the_lead_that_was_forgotten(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    path, email = await make_source("web_form"), fresh_email()
    await ingest.http.post(path, json={"email": email})
    [first] = await announced(ingest)
    await ingest.fetch(FORGOTTEN)
    await learn(ingest, first)
    await ingest.http.post(path, json={"email": email.upper()})
    assert [event.lead_id for event in await announced(ingest)] == [first.lead_id]


async def test_a_forgotten_delivery_that_is_sent_again_is_a_duplicate_with_the_same_ids(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    path, body, key = await make_source("web_form"), {"email": fresh_email()}, {"Idempotency-Key": new_id()}
    before = (await ingest.http.post(path, json=body, headers=key)).json()
    events = await announced(ingest)
    await ingest.fetch(FORGOTTEN)
    await learn(ingest, *events)
    again = (await ingest.http.post(path, json=body, headers=key)).json()
    ids = [[one["record_id"] for one in answer["records"]] for answer in (before, again)]
    assert (again.get("duplicate"), ids[0]) == (True, ids[1])
