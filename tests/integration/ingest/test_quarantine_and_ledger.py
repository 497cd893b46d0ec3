"""What cannot be mapped waits for a person; what was accepted is always somewhere."""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import structs

from ingest.domain.ledger import ON_THE_WAY
from ingest.domain.senders import web_form
from ingest.handlers import LEDGER_WANTED
from ingest.ledger import LedgerKeeper
from shared.contracts import (
    LeadAssigned,
    LeadCaptured,
    LeadEnriched,
    LeadNurtured,
    LeadParked,
    LeadReleased,
    LeadRetained,
    LeadUnassigned,
    LeadWithheld,
    Origin,
)
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import make_assigned, make_owner, make_score, make_verdict

MakeSource = Callable[..., Awaitable[str]]
FreshEmail = Callable[[], str]


async def ledger_of(ingest: ServiceHarness) -> dict[str, Any]:
    response = await ingest.http.get("/v1/ledger?verify=true")
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    assert result["balanced"], result
    return result


async def capture(ingest: ServiceHarness, path: str, **fields: Any) -> LeadCaptured:
    response = await ingest.http.post(path, json=fields)
    assert response.status_code == 200, response.text
    [captured] = [event for event in await ingest.published() if isinstance(event, LeadCaptured)]
    return captured


async def state_of(ingest: ServiceHarness, record_id: str) -> str:
    [row] = await ingest.fetch("SELECT state FROM record WHERE record_id = $1", record_id)
    state: str = row["state"]
    return state


async def test_a_corrected_mapping_makes_a_lead_of_a_quarantined_record(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path, email = await make_source("web_form"), fresh_email()
    key = path.split("/")[3]
    await ingest.http.post(path, json={"q17": email, "name": "Jill Chill"})
    [item] = (await ingest.http.get("/v1/quarantine", params={"source": key})).json()["items"]
    assert (item["reason"], item["payload"]["name"]) == ("no_contact", "xxxx xxxxx")
    assert email not in json.dumps(item)
    url = f"/v1/quarantine/{item['record_id']}/replay"
    assert (await ingest.http.post(url)).json()["type"].rpartition("/")[2] == "still_unmappable"
    await ingest.http.patch(f"/v1/sources/{key}", json={"field_mapping": {"q17": "email"}})
    replayed = await ingest.http.post(url)
    assert [record["nature"] for record in replayed.json()["records"]] == ["lead"]
    [captured] = await ingest.published()
    assert isinstance(captured, LeadCaptured)
    assert (captured.lead.email, captured.origin.record_id) == (email, item["record_id"])
    await ledger_of(ingest)


async def test_nothing_replays_twice_even_at_the_same_instant(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path = await make_source("web_form")
    await ingest.http.post(path, json={"email": fresh_email(), "lr_confirm": "really me"})
    [item] = (await ingest.http.get("/v1/quarantine", params={"source": path.split("/")[3]})).json()["items"]
    url = f"/v1/quarantine/{item['record_id']}/replay"
    responses = await asyncio.gather(*(ingest.http.post(url) for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409, 409]
    assert len(await ingest.published()) == 1
    await ledger_of(ingest)


async def test_a_discarded_record_stays_counted_and_needs_a_reason(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("web_form")
    await ingest.http.post(path, json={"name": "nobody"})
    [item] = (await ingest.http.get("/v1/quarantine", params={"source": path.split("/")[3]})).json()["items"]
    before = await ledger_of(ingest)
    url = f"/v1/quarantine/{item['record_id']}/discard"
    statuses = [
        (await ingest.http.post(url, json=body)).status_code
        for body in ({}, {"reason": "a test"}, {"reason": "a test"})
    ]
    after = await ledger_of(ingest)
    assert statuses == [422, 204, 409]
    assert after["discarded"] - before["discarded"] == before["quarantined"] - after["quarantined"] == 1


async def test_the_quarantine_is_listed_in_pages_by_reason(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("web_form")
    for body in ({"name": "a"}, {"name": "b"}, {"name": "c"}, {"email": "not an address"}):
        await ingest.http.post(path, json=body)
    query = {"source": path.split("/")[3], "reason": "no_contact", "limit": "2"}
    first = (await ingest.http.get("/v1/quarantine", params=query)).json()
    second = (await ingest.http.get("/v1/quarantine", params={**query, "cursor": first["next_cursor"]})).json()
    ids = [item["record_id"] for item in first["items"] + second["items"]]
    assert (len(set(ids)), second["next_cursor"]) == (3, None)


async def test_a_bug_in_a_mapping_loses_nothing(ingest: ServiceHarness, make_source: MakeSource, monkeypatch: Any):
    def broken(_inbound: object) -> None:
        raise ZeroDivisionError

    path = await make_source("web_form")
    monkeypatch.setattr("ingest.door.SENDERS", {"web_form": _with_mapping(web_form.SENDER, broken)})
    response = await ingest.http.post(path, json={"email": "a@b.de"})
    assert response.status_code == 200
    [item] = (await ingest.http.get("/v1/quarantine", params={"source": path.split("/")[3]})).json()["items"]
    assert item["reason"] == "mapping_failed"


def _with_mapping(sender: Any, mapping: Any) -> Any:
    return dataclasses.replace(sender, map_delivery=mapping)


async def test_a_record_whose_raw_submission_has_ended_can_still_be_discarded(
    ingest: ServiceHarness, make_source: MakeSource
):
    path = await make_source("web_form")
    response = await ingest.http.post(path, json={"name": "nobody"})
    await ingest.fetch("DELETE FROM submission WHERE submission_id = $1", response.json()["submission_id"])
    [item] = (await ingest.http.get("/v1/quarantine", params={"source": path.split("/")[3]})).json()["items"]
    url = f"/v1/quarantine/{item['record_id']}"
    assert item["payload"] is None
    assert (await ingest.http.post(f"{url}/replay")).status_code == 410
    assert (await ingest.http.post(f"{url}/discard", json={"reason": "too old"})).status_code == 204


async def test_delivery_keys_are_forgotten_after_their_term(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path, body, headers = await make_source("web_form"), {"email": fresh_email()}, {"Idempotency-Key": new_id()}
    first = await ingest.http.post(path, json=body, headers=headers)
    [keeper] = [worker for worker in ingest.runtime.workers if isinstance(worker, LedgerKeeper)]
    await keeper.run_once()
    again = await ingest.http.post(path, json=body, headers=headers)
    ingest.clock.advance(days=15)
    await keeper.run_once()
    later = await ingest.http.post(path, json=body, headers=headers)
    assert first.json()["submission_id"] == again.json()["submission_id"] != later.json()["submission_id"]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT record_id FROM record WHERE state = 'in_flight' ORDER BY record_id LIMIT 1", "record_in_flight"),
        ("SELECT record_id FROM record WHERE state = 'quarantined' ORDER BY record_id LIMIT 50", "record_quarantined"),
        ("SELECT 1 FROM record WHERE lead_id = ANY(ARRAY[gen_random_uuid()])", "record_lead"),
        ("SELECT 1 FROM delivery WHERE submission_id < gen_random_uuid()", "delivery_submission"),
        ("SELECT 1 FROM identity WHERE kind = 'email' AND value = 'a'", "identity_pkey"),
    ],
)
async def test_each_repeated_query_has_its_index(ingest: ServiceHarness, query: str, index: str):
    async with ingest.runtime.work() as work:
        await work.repo.sql.execute("SET LOCAL enable_seqscan = off")
        plan = await work.repo.sql.fetch(f"EXPLAIN {query}")
    assert index in "\n".join(row[0] for row in plan)


async def test_only_operators_may_replay(ingest: ServiceHarness):
    async with ingest.http_as("leads:read", "ingest:write") as reader:
        assert (await reader.post(f"/v1/quarantine/{new_id()}/replay")).status_code == 403


def assigned(lead_id: str, origin: Origin) -> LeadAssigned:
    return make_assigned(lead_id, origin=origin)


async def test_a_record_ends_where_its_lead_does(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path = await make_source("web_form")
    captured = [await capture(ingest, path, email=fresh_email()) for _ in range(5)]
    ends = [
        assigned(captured[0].lead_id, captured[0].origin),
        LeadUnassigned(lead_id=captured[1].lead_id, origin=captured[1].origin, reason="fallback_queue"),
        LeadNurtured(lead_id=captured[2].lead_id, origin=captured[2].origin, score=make_score()),
        LeadRetained(lead_id=captured[3].lead_id, origin=captured[3].origin, score=make_score(), owner=make_owner()),
        LeadWithheld(
            lead_id=captured[4].lead_id,
            origin=captured[4].origin,
            score=make_score(),
            verdict=make_verdict(channels=()),
            trigger="submission",
        ),
    ]
    ingest.clock.advance(seconds=1)
    await ingest.feed(*ends)
    states = [await state_of(ingest, event.origin.record_id) for event in captured]
    assert states == ["assigned", "unassigned", "nurtured", "assigned", "withheld"]
    await ledger_of(ingest)


async def test_redelivered_events_change_no_count(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    captured = await capture(ingest, await make_source("web_form"), email=fresh_email())
    ingest.clock.advance(seconds=1)
    await ingest.feed(assigned(captured.lead_id, captured.origin))
    before = await ledger_of(ingest)
    await ingest.redeliver_last()
    assert (await ledger_of(ingest))["mapped_by_state"] == before["mapped_by_state"]


async def test_the_newer_event_wins_whatever_comes_first(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    captured = await capture(ingest, await make_source("web_form"), email=fresh_email())
    ingest.clock.advance(minutes=2)
    await ingest.feed(assigned(captured.lead_id, captured.origin))
    ingest.clock.advance(minutes=-1)
    await ingest.feed(LeadNurtured(lead_id=captured.lead_id, origin=captured.origin, score=make_score()))
    ingest.clock.advance(minutes=1)
    assert await state_of(ingest, captured.origin.record_id) == "assigned"
    await ledger_of(ingest)


async def test_a_superseded_record_ends_with_the_record_that_superseded_it(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path, email = await make_source("web_form"), fresh_email()
    first, second, third = [await capture(ingest, path, email=email) for _ in range(3)]
    ingest.clock.advance(seconds=1)
    await ingest.feed(assigned(second.lead_id, second.origin))
    states = [await state_of(ingest, event.origin.record_id) for event in (first, second, third)]
    assert states == ["assigned", "assigned", "in_flight"]
    await ledger_of(ingest)


async def test_a_parked_lead_waits_and_goes_on_when_it_is_retried(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    captured = await capture(ingest, await make_source("web_form"), email=fresh_email())
    states = []
    for event in (
        LeadParked(lead_id=captured.lead_id, consumer="scoring", parked_event_id=new_id(), error="KeyError"),
        LeadReleased(lead_id=captured.lead_id, consumer="scoring", outcome="retried"),
        assigned(captured.lead_id, captured.origin),
        LeadParked(lead_id=captured.lead_id, consumer="sla-monitor", parked_event_id=new_id(), error="KeyError"),
    ):
        ingest.clock.advance(seconds=1)
        await ingest.feed(event, consumer="ingest-ledger")
        states.append(await state_of(ingest, captured.origin.record_id))
    assert states == ["parked", "in_flight", "assigned", "assigned"]
    await ledger_of(ingest)


def parked(lead_id: str, record_ids: tuple[str, ...] | None) -> LeadParked:
    return LeadParked(
        lead_id=lead_id, consumer="scoring", parked_event_id=new_id(), error="KeyError", record_ids=record_ids
    )


async def test_a_skipped_record_stays_parked_when_the_ones_behind_it_are_retried(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path, email = await make_source("web_form"), fresh_email()
    skipped, retried, behind = [await capture(ingest, path, email=email) for _ in range(3)]
    record_ids = tuple(event.origin.record_id for event in (skipped, retried, behind))
    states = []
    for event in (
        parked(skipped.lead_id, record_ids[:2]),
        parked(skipped.lead_id, record_ids[2:]),
        LeadReleased(lead_id=skipped.lead_id, consumer="scoring", outcome="retried", record_ids=record_ids[1:]),
        LeadNurtured(lead_id=skipped.lead_id, origin=behind.origin, score=make_score()),
        LeadReleased(lead_id=skipped.lead_id, consumer="scoring", outcome="skipped", record_ids=()),
    ):
        ingest.clock.advance(seconds=1)
        await ingest.feed(event, consumer="ingest-ledger")
        states.append([await state_of(ingest, record_id) for record_id in record_ids])
    assert states == [
        ["parked", "parked", "in_flight"],
        ["parked", "parked", "parked"],
        ["parked", "in_flight", "in_flight"],
        ["parked", "nurtured", "nurtured"],
        ["parked", "nurtured", "nurtured"],
    ]
    await ledger_of(ingest)


async def test_a_decision_ends_a_record_even_if_a_later_event_of_its_lead_was_parked_and_came_first(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    """Two topics: nothing orders them. The announcement of an older release parks whatever is in flight."""
    captured = await capture(ingest, await make_source("web_form"), email=fresh_email())
    ingest.clock.advance(seconds=2)
    await ingest.feed(parked(captured.lead_id, None), consumer="ingest-ledger")
    assert await state_of(ingest, captured.origin.record_id) == "parked"
    ingest.clock.advance(seconds=-1)
    await ingest.feed(assigned(captured.lead_id, captured.origin))
    ingest.clock.advance(seconds=1)
    assert await state_of(ingest, captured.origin.record_id) == "assigned"
    await ledger_of(ingest)


async def test_the_ledger_listens_to_those_on_a_records_way_about_leads_that_it_can_know(ingest: ServiceHarness):
    """A lead is parked for its damaged id: handled here it would be parked and announced once more."""
    assert {"ingest-enrich", "scoring", "consent", "routing"} == ON_THE_WAY
    events = (
        parked(new_id(), None),
        parked("nobody", None),
        structs.replace(parked(new_id(), None), consumer="sla-monitor"),
    )
    assert [LEDGER_WANTED[type(event)](event) for event in events] == [True, False, False]
    await ingest.feed(parked(new_id(), ("no record",)), consumer="ingest-ledger")
    assert await ingest.fetch("SELECT * FROM parked") == []


async def test_what_waits_too_long_shows_its_age(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    await capture(ingest, await make_source("web_form"), email=fresh_email())
    ledger = await ledger_of(ingest)
    assert ledger["in_flight"] >= 1
    assert ledger["in_flight_oldest_seconds"] is not None


async def test_summing_the_counters_up_changes_no_sum(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    await capture(ingest, await make_source("web_form"), email=fresh_email())
    before = await ledger_of(ingest)
    [keeper] = [worker for worker in ingest.runtime.workers if isinstance(worker, LedgerKeeper)]
    await asyncio.gather(*(keeper.run_once() for _ in range(3)))
    after = await ledger_of(ingest)
    assert {**after, "at": None} == {**before, "at": None}
    rows = await ingest.fetch("SELECT counter FROM ledger_delta")
    assert len(rows) == len({row["counter"] for row in rows})


async def test_a_lost_transition_is_found_by_the_recount(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    captured = await capture(ingest, await make_source("web_form"), email=fresh_email())
    await ingest.fetch("UPDATE record SET state = 'assigned' WHERE record_id = $1", captured.origin.record_id)
    found = (await ingest.http.get("/v1/ledger?verify=true")).json()
    await ingest.fetch("UPDATE record SET state = 'in_flight' WHERE record_id = $1", captured.origin.record_id)
    assert (found["balanced"], found["differences"]) == (False, {"assigned": -1, "in_flight": 1})


async def test_a_captured_lead_is_merged_normalised_and_passed_on(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path, email = await make_source("web_form"), fresh_email()
    first = await capture(ingest, path, email=email.upper(), title="Cook", city="Bonn")
    second = await capture(ingest, path, email=email, title="Chef")
    enriched = await ingest.feed(first, second)
    assert [type(event) for event in enriched] == [LeadEnriched, LeadEnriched]
    last = enriched[-1]
    assert isinstance(last, LeadEnriched)
    assert (last.lead.title, last.lead.city, last.origin) == ("Chef", "Bonn", second.origin)
    lead = (await ingest.http.get(f"/v1/leads/{first.lead_id}")).json()
    assert lead["fields"]["title"] == "Chef"
    assert {identity["value"] for identity in lead["identities"]} == {email}
    assert len(lead["records"]) == 2


async def test_an_unusable_phone_does_not_displace_a_usable_one(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path, email = await make_source("web_form"), fresh_email()
    first = await capture(ingest, path, email=email, phone="+1 650-253-0000", country="US")
    second = await capture(ingest, path, email=email, phone="ask me")
    *_, last = await ingest.feed(first, second)
    assert isinstance(last, LeadEnriched)
    assert last.lead.phone == "+16502530000"
