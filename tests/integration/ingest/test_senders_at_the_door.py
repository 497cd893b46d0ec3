"""Every sender of the first six posts as it is documented to, and gets the answer it wants."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.settings import IngestSettings
from shared.contracts import ActivityRecorded, LeadCaptured
from shared.ids import new_id
from shared.testing import ServiceHarness

MakeSource = Callable[..., Awaitable[str]]
WEBHOOKS = Path(__file__).parents[2] / "fixtures" / "webhooks"
SECRET = "a-secret-of-the-sender"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLIC_URL = "https://ingest.example.com"


def mac(message: bytes, secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def zoom_headers(ingest: ServiceHarness, body: bytes, secret: str = SECRET) -> dict[str, str]:
    stamp = str(int(ingest.clock.now().timestamp()))
    return {
        "Content-Type": "application/json",
        "x-zm-request-timestamp": stamp,
        "x-zm-signature": "v0=" + mac(f"v0:{stamp}:".encode() + body, secret).hex(),
    }


def standard_headers(ingest: ServiceHarness, body: bytes) -> dict[str, str]:
    message_id, stamp = new_id(), str(int(ingest.clock.now().timestamp()))
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def natures(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [record["nature"] for record in response.json()["records"]]


def fresh_zoom(path: str) -> bytes:
    """The recorded payload of a person nobody knows yet."""
    person = f"jchill-{new_id()}"
    return (WEBHOOKS / path).read_text().replace("jchill", person).replace("iFxeBPYun6SAiWUzBcEkX", person).encode()


async def test_zoom_registers_and_joins(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("zoom", secret=SECRET)
    registration = fresh_zoom("zoom/webinar.registration_created.json")
    email = json.loads(registration)["payload"]["object"]["registrant"]["email"]
    joined = (
        (WEBHOOKS / "zoom/webinar.participant_joined.json").read_text().replace("jchill@example.com", email).encode()
    )
    responses = [
        await ingest.http.post(path, content=body, headers=zoom_headers(ingest, body))
        for body in (registration, joined)
    ]
    assert [natures(response) for response in responses] == [["lead"], ["activity"]]
    captured, recorded = await ingest.published()
    assert isinstance(captured, LeadCaptured)
    assert isinstance(recorded, ActivityRecorded)
    assert (captured.activities, recorded.kind) == (("webinar_registration",), "webinar_attendance")
    assert captured.lead_id == recorded.lead_id


async def test_a_zoom_retry_is_answered_with_the_first_ids(ingest: ServiceHarness, make_source: MakeSource):
    path, body = await make_source("zoom", secret=SECRET), fresh_zoom("zoom/webinar.registration_created.json")
    first = await ingest.http.post(path, content=body, headers=zoom_headers(ingest, body))
    ingest.clock.advance(minutes=5)
    again = await ingest.http.post(path, content=body, headers=zoom_headers(ingest, body))
    assert again.json() == {**first.json(), "duplicate": True}
    assert len(await ingest.published()) == 1


async def test_the_zoom_handshake_is_answered(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("zoom", secret=SECRET)
    body = (WEBHOOKS / "zoom/endpoint.url_validation.json").read_bytes()
    response = await ingest.http.post(path, content=body, headers=zoom_headers(ingest, body))
    token = "qgg8vlvZRS6UYooatFL8Aw"
    assert response.json() == {"plainToken": token, "encryptedToken": mac(token.encode()).hex()}


async def test_an_unsigned_handshake_signs_nothing(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("zoom", secret=SECRET)
    response = await ingest.http.post(path, content=(WEBHOOKS / "zoom/endpoint.url_validation.json").read_bytes())
    assert response.status_code == 401
    assert "errors" not in response.json()


async def test_typeform_posts_a_response(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("typeform", secret=SECRET)
    payload = json.loads((WEBHOOKS / "typeform/form_response.activepieces.json").read_text())
    payload["form_response"]["token"] = new_id()
    payload["form_response"]["hidden"] = {"email": f"{new_id()}@acme.com"}
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "Typeform-Signature": "sha256=" + base64.b64encode(mac(body)).decode(),
    }
    response = await ingest.http.post(path, content=body, headers=headers)
    assert natures(response) == ["lead"]


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
async def test_hubspot_posts_a_batch(ingest: ServiceHarness, make_source: MakeSource, version: str):
    path = await make_source("hubspot", secret=SECRET)
    change = {"subscriptionType": "contact.propertyChange"}
    contact = int(new_id().replace("-", "")[:12], 16)
    events = [
        {"eventId": n, "portalId": 1, "objectId": contact, "occurredAt": 1564113600000 + n, **event}
        for n, event in enumerate(
            [
                {"subscriptionType": "contact.creation"},
                {**change, "propertyName": "email", "propertyValue": f"{new_id()}@acme.com"},
                {**change, "propertyName": "lifecyclestage", "propertyValue": "customer"},
                {"subscriptionType": "deal.creation"},
            ]
        )
    ]  # fmt: skip
    body = json.dumps(events).encode()
    stamp, url = str(int(ingest.clock.now().timestamp() * 1000)), PUBLIC_URL + path
    headers = {
        "v1": {
            "X-HubSpot-Signature": hashlib.sha256(SECRET.encode() + body).hexdigest(),
            "X-HubSpot-Signature-Version": "v1",
        },
        "v2": {
            "X-HubSpot-Signature": hashlib.sha256(f"{SECRET}POST{url}".encode() + body).hexdigest(),
            "X-HubSpot-Signature-Version": "v2",
        },
        "v3": {
            "X-HubSpot-Signature-v3": base64.b64encode(mac(f"POST{url}".encode() + body + stamp.encode())).decode(),
            "X-HubSpot-Request-Timestamp": stamp,
        },
    }[version]
    response = await ingest.http.post(path, content=body, headers={"Content-Type": "application/json", **headers})
    assert sorted(natures(response)) == ["ignored", "ignored", "lead"]


async def test_standard_webhooks_posts_an_event(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("standard_webhooks", secret=WHSEC)
    body = json.dumps({"type": "lead.created", "data": {"email": f"{new_id()}@acme.com"}}).encode()
    response = await ingest.http.post(path, content=body, headers=standard_headers(ingest, body))
    assert natures(response) == ["lead"]


CE = {"specversion": "1.0", "type": "com.acme.lead.created", "source": "/crm"}


async def test_cloudevents_posts_in_three_modes(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("cloudevents", secret=SECRET)
    auth = {"Authorization": f"Bearer {SECRET}"}
    data = {"email": f"{new_id()}@acme.com"}
    events = [{**CE, "id": new_id(), "data": data} for _ in range(3)]
    binary = {f"ce-{name}": value for name, value in {**CE, "id": new_id()}.items()}
    deliveries: list[tuple[Any, dict[str, str]]] = [
        (data, {"Content-Type": "application/json", **binary}),
        (events[0], {"Content-Type": "application/cloudevents+json"}),
        (events[1:], {"Content-Type": "application/cloudevents-batch+json"}),
        (events[1:], {"Content-Type": "application/cloudevents-batch+json"}),
    ]
    responses = [
        await ingest.http.post(path, content=json.dumps(body), headers={**auth, **headers})
        for body, headers in deliveries
    ]
    assert [natures(response) for response in responses] == [["lead"], ["lead"], ["lead"] * 2, ["lead"] * 2]
    assert responses[3].json() == {**responses[2].json(), "duplicate": True}
    assert len({event.lead_id for event in await ingest.published()}) == 1


async def test_the_cloudevents_handshake(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("cloudevents", secret=SECRET)
    headers = {"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"}
    response = await ingest.http.options(path, headers=headers)
    assert (response.status_code, response.headers["webhook-allowed-origin"]) == (200, "eventemitter.example.com")
    assert response.headers["webhook-allowed-rate"] == "120"


async def test_a_form_on_a_listed_site_may_post_and_others_may_not(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("web_form", allowed_origins=["https://www.acme.com"])
    async with ingest.http_as() as browser:
        responses = [
            await browser.post(path, data={"email": f"{new_id()}@acme.com"}, headers=headers)
            for headers in ({"Origin": "https://www.acme.com"}, {"Origin": "https://www.acme.com.evil.example"}, {})
        ]
    assert [response.status_code for response in responses] == [200, 403, 403]
    assert responses[0].headers["access-control-allow-origin"] == "https://www.acme.com"
    assert "access-control-allow-origin" not in responses[1].headers


async def test_the_answer_to_a_strangers_form_names_no_lead(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("web_form")
    response = await ingest.http.post(path, json={"email": f"{new_id()}@acme.com", "lr_confirm": "spam"})
    assert set(response.json()) == {"submission_id", "records"}
    assert [set(record) for record in response.json()["records"]] == [{"record_id", "nature"}]
    assert natures(response) == ["lead"]
    [row] = await ingest.fetch(
        "SELECT state, reason FROM record WHERE submission_id = $1", response.json()["submission_id"]
    )
    assert tuple(row) == ("quarantined", "honeypot")


async def test_a_preflight_of_a_listed_site_is_granted(ingest: ServiceHarness, make_source: MakeSource):
    path = await make_source("web_form", allowed_origins=["https://www.acme.com"])
    granted = await ingest.http.options(path, headers={"Origin": "https://www.acme.com"})
    refused = await ingest.http.options(path, headers={"Origin": "https://evil.example"})
    assert granted.headers["access-control-allow-methods"] == "POST"
    assert "access-control-allow-origin" not in refused.headers
    assert "access-control-allow-credentials" not in granted.headers


async def test_a_suspended_source_says_come_again_because_some_senders_never_do_after_404(
    ingest: ServiceHarness, make_source: MakeSource
):
    path = await make_source("web_form")
    key = path.split("/")[3]
    await ingest.http.patch(f"/v1/sources/{key}", json={"is_suspended": True, "why": "campaign over"})
    response = await ingest.http.post(path, json={"email": f"{new_id()}@acme.com"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "300")


async def test_an_unknown_source_is_not_found(ingest: ServiceHarness):
    response = await ingest.http.post(f"/v1/sources/{new_id()}/submissions", json={"email": "a@b.de"})
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


async def test_a_wrong_secret_is_refused_without_a_reason_and_nothing_is_kept(
    ingest: ServiceHarness, make_source: MakeSource
):
    path, body = await make_source("zoom", secret=SECRET), b"{}"
    before = await ingest.fetch("SELECT count(*) FROM submission")
    response = await ingest.http.post(path, content=body, headers=zoom_headers(ingest, body, "another-secret"))
    assert (response.status_code, set(response.json())) == (401, {"type", "title", "status", "trace_id"})
    assert await ingest.fetch("SELECT count(*) FROM submission") == before


def test_the_url_in_a_signature_comes_from_configuration_and_not_from_the_caller():
    assert IngestSettings.model_fields["public_url"].description is not None


REFUSED: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "NaN": ({"content": b'{"a": NaN}'}, 422, "number_not_finite", "/a"),
    "a duplicate key": ({"content": b'{"email": "a", "email": "b"}'}, 422, "duplicate_key", "/email"),
    "U+0000": ({"content": b'{"email": "\\u0000"}'}, 422, "null_character", "/email"),
    "half a surrogate": ({"content": b'{"n": {"m": "\\ud800"}}'}, 422, "lone_surrogate", "/n/m"),
    "too deep": ({"content": b"[" * 40 + b"]" * 40}, 422, "json_too_deep", "/0" * 32),
    "no JSON": ({"content": b"{"}, 400, "not_json", ""),
    "empty": ({"content": b""}, 400, "not_json", ""),
    "not UTF-8": ({"content": b'"\xff"'}, 400, "not_utf8", ""),
    "too large": ({"content": b" " * ((1 << 20) + 1)}, 413, "body_too_large", ""),
    "compressed": ({"content": b"x", "headers": {"Content-Encoding": "gzip"}}, 415, "compressed_body", None),
    "another charset": (
        {"content": b"{}", "headers": {"Content-Type": "application/json; charset=utf-16"}},
        415, "charset_not_utf8", "",
    ),
    "XML": ({"content": b"<a/>", "headers": {"Content-Type": "application/xml"}}, 415, "content_type", ""),
    "U+0000 in a form": ({"data": {"name": "a\0b"}}, 422, "null_character", "/name"),
    "a hundred and one fields": ({"data": {f"f{n}": "1" for n in range(101)}}, 413, "too_many_fields", ""),
    "a file": ({"files": {"cv": ("a.exe", b"MZ")}}, 422, "file_not_accepted", "/cv"),
    "no boundary": (
        {"content": b"--x--", "headers": {"Content-Type": "multipart/form-data"}}, 400, "not_multipart", "",
    ),
    "a bad idempotency key": (
        {"json": {"email": "a@b.de"}, "headers": {"Idempotency-Key": "k" * 201}}, 422, "invalid_idempotency_key", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_input_is_refused_with_the_place_named(ingest: ServiceHarness, make_source: MakeSource, name: str):
    request, status, code, pointer = REFUSED[name]
    path = await make_source("web_form")
    if "content" in request:
        request = {**request, "headers": {"Content-Type": "application/json", **request.get("headers", {})}}
    response = await ingest.http.post(path, **request)
    problem = response.json()
    assert (response.status_code, problem["type"].rpartition("/")[2]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in problem.get("errors", [])][:1] == ([pointer] if pointer is not None else [])


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "HEAD", "PATCH"])
async def test_other_methods_are_not_allowed(ingest: ServiceHarness, make_source: MakeSource, method: str):
    response = await ingest.http.request(method, await make_source("web_form"))
    assert response.status_code == 405
