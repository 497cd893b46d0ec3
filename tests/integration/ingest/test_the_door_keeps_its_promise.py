"""A 2xx means durable, once, whatever is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ingest.__main__ import build_service
from ingest.settings import IngestSettings
from shared.contracts import ActivityRecorded, LeadCaptured
from shared.ids import new_id
from shared.testing import ServiceHarness

MakeSource = Callable[..., Awaitable[str]]


async def test_a_form_becomes_a_stored_submission_and_a_captured_lead(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    path, email = await make_source("web_form"), fresh_email()
    async with ingest.http_as() as browser:
        response = await browser.post(path, data={"email": email, "first_name": "Dana"}, headers={"Sec-GPC": "1"})
    assert response.status_code == 200
    [captured] = [event for event in await ingest.published() if isinstance(event, LeadCaptured)]
    assert (captured.lead.email, captured.has_gpc, captured.origin.is_new_lead) == (email, True, True)
    submission = (await ingest.http.get(f"/v1/submissions/{response.json()['submission_id']}")).json()
    assert [record["state"] for record in submission["records"]] == ["in_flight"]
    [row] = await ingest.fetch("SELECT body FROM submission WHERE submission_id = $1", response.json()["submission_id"])
    assert email.encode().replace(b"@", b"%40") in row["body"]


async def test_the_broker_may_be_away(ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]):
    path = await make_source("web_form")
    ingest.publisher.is_away = True
    response = await ingest.http.post(path, json={"email": fresh_email()})
    assert response.status_code == 200
    ingest.publisher.is_away = False
    assert [type(event) for event in await ingest.published()] == [LeadCaptured]


async def test_without_the_database_the_answer_is_come_again(
    ingest: ServiceHarness,
    make_source: MakeSource,
    fresh_email: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
):
    path = await make_source("web_form")
    assert (await ingest.http.post(path, json={"email": fresh_email()})).status_code == 200
    monkeypatch.setattr(ingest.runtime.database, "transaction", _refuse)
    responses = await asyncio.gather(*(ingest.http.post(path, json={"email": fresh_email()}) for _ in range(3)))
    assert {(response.status_code, response.headers["retry-after"]) for response in responses} == {(503, "1")}


async def test_without_the_database_an_unknown_source_is_not_said_to_be_missing(
    ingest: ServiceHarness, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ingest.runtime.database, "connection", _refuse)
    async with ingest.http_as() as client:
        responses = [await client.post(f"/v1/sources/{new_id()}/submissions", json={}) for _ in range(2)]
    assert [response.status_code for response in responses] == [503, 503]


def _refuse() -> None:
    raise ConnectionRefusedError


async def test_a_client_that_sends_too_slowly_is_let_go(database_url: str):
    async def stalling() -> AsyncIterator[bytes]:
        yield b'{"email":'
        await asyncio.Event().wait()

    async with ServiceHarness.start(build_service, IngestSettings, database_url, body_seconds=0.02) as impatient:
        path = (await impatient.http.post("/v1/sources", json={"kind": "web_form"})).json()["submissions_path"]
        response = await impatient.http.post(path, content=stalling())
    assert response.status_code == 408


async def test_a_body_that_grows_beyond_the_limit_is_not_read_to_its_end(
    ingest: ServiceHarness, make_source: MakeSource
):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536

    response = await ingest.http.post(await make_source("web_form"), content=endless())
    assert (response.status_code, sent) == (413, 17)


async def test_one_person_many_times_at_the_same_instant_is_one_lead(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    path, email = await make_source("web_form"), fresh_email()
    responses = await asyncio.gather(
        *(ingest.http.post(path, json={"email": email.upper() if n % 2 else email}) for n in range(20))
    )
    assert {response.status_code for response in responses} == {200}
    captured = [event for event in await ingest.published() if isinstance(event, LeadCaptured)]
    assert len(captured) == 20
    assert len({event.lead_id for event in captured}) == 1
    assert sum(event.origin.is_new_lead for event in captured) == 1


async def test_two_replicas_make_one_lead_of_one_person(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str], database_url: str
):
    path = await make_source("web_form")
    people = [fresh_email() for _ in range(15)]
    async with ServiceHarness.start(build_service, IngestSettings, database_url) as other:
        responses = await asyncio.gather(
            *(replica.http.post(path, json={"email": email}) for email in people for replica in (ingest, other))
        )
        captured = [*await ingest.published(), *await other.published()]
    assert {response.status_code for response in responses} == {200}
    leads = {(event.lead.email, event.lead_id) for event in captured if isinstance(event, LeadCaptured)}
    assert len(captured) == 30
    assert len(leads) == 15


async def test_an_idempotency_key_gives_the_first_answer_again_and_creates_nothing(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    path, body = await make_source("web_form"), {"email": fresh_email()}
    headers = {"Idempotency-Key": new_id()}
    first, *others = [await ingest.http.post(path, json=body, headers=headers) for _ in range(3)]
    assert [other.json() for other in others] == [{**first.json(), "duplicate": True}] * 2
    assert len(await ingest.published()) == 1


async def test_an_idempotency_key_with_another_body_is_refused(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    path, headers = await make_source("web_form"), {"Idempotency-Key": new_id()}
    await ingest.http.post(path, json={"email": fresh_email()}, headers=headers)
    response = await ingest.http.post(path, json={"email": fresh_email()}, headers=headers)
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (422, "idempotency_conflict")


async def test_the_same_key_many_times_at_once_is_one_submission(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str], database_url: str
):
    path, body = await make_source("web_form"), {"email": fresh_email()}
    headers = {"Idempotency-Key": new_id()}
    async with ServiceHarness.start(build_service, IngestSettings, database_url) as other:
        responses = await asyncio.gather(
            *(replica.http.post(path, json=body, headers=headers) for _ in range(8) for replica in (ingest, other))
        )
        captured = [*await ingest.published(), *await other.published()]
    assert {(response.status_code, response.json()["submission_id"]) for response in responses} == {
        (200, responses[0].json()["submission_id"])
    }
    assert len(captured) == 1


async def test_a_phone_finds_its_lead_until_an_e_mail_is_known(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    path, phone = await make_source("web_form"), f"+49 30 {new_id()[-7:].translate(_DIGITS)}"
    for person in (
        {"phone": phone},
        {"phone": phone, "email": fresh_email()},
        {"phone": phone, "email": fresh_email()},
    ):
        await ingest.http.post(path, json=person)
    by_phone, same_with_email, somebody_else = [event.lead_id for event in await ingest.published()]
    assert by_phone == same_with_email
    assert somebody_else != by_phone


async def test_an_activity_of_the_crm_is_recorded_once(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str]
):
    await ingest.http.post(await make_source("web_form"), json={"email": fresh_email()})
    [captured] = await ingest.published()
    url, headers = f"/v1/leads/{captured.lead_id}/activities", {"Idempotency-Key": new_id()}
    responses = [await ingest.http.post(url, json={"kind": "first_touch"}, headers=headers) for _ in range(2)]
    assert [(response.status_code, response.json()["duplicate"]) for response in responses] == [
        (201, False), (201, True),
    ]  # fmt: skip
    [recorded] = await ingest.published()
    assert isinstance(recorded, ActivityRecorded)
    assert (recorded.lead_id, recorded.kind) == (captured.lead_id, "first_touch")


async def test_an_activity_of_nobody_is_refused(ingest: ServiceHarness):
    response = await ingest.http.post(f"/v1/leads/{new_id()}/activities", json={"kind": "won"})
    assert response.status_code == 404


_DIGITS = str.maketrans("abcdef", "234567")
