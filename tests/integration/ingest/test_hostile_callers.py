"""What strangers and careless programs try at ingest's doors."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingest.domain.senders import web_form
from shared.ids import new_id
from shared.testing import ServiceHarness

MakeSource = Callable[..., Awaitable[str]]
FreshEmail = Callable[[], str]
ORIGIN = "https://www.example.com"


async def test_a_bot_a_new_person_and_a_known_one_get_the_same_kind_of_answer(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    path, email = await make_source("web_form"), fresh_email()
    bodies: list[dict[str, str]] = [
        {"email": email}, {"email": email}, {"email": email, "lr_confirm": "x"}, {"name": "nobody"},
    ]  # fmt: skip
    async with ingest.http_as() as browser:
        answers = [await browser.post(path, json=body) for body in bodies]
    shapes = {json.dumps(_shape(answer.json())) for answer in answers}
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(shapes) == 1


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: member if key == "nature" else _shape(member) for key, member in value.items()}
    return [_shape(member) for member in value] if isinstance(value, list) else type(value).__name__


async def test_a_bug_in_a_mapping_says_where_and_not_whose_data(
    ingest: ServiceHarness, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
):
    def broken(_inbound: object) -> None:
        raise ValueError("cannot convert Dana Reyes")

    path = await make_source("web_form")
    monkeypatch.setattr("ingest.door.SENDERS", {"web_form": _with_mapping(broken)})
    with capture_logs() as lines:
        await ingest.http.post(path, json={"email": "a@b.de"})
    assert "Dana" not in str(lines)
    [line] = [line for line in lines if line["event"] == "mapping_failed"]
    assert "broken" in line["stack"]
    assert not line.get("exc_info")


def _with_mapping(mapping: Any) -> Any:
    names = {name: getattr(web_form.SENDER, name) for name in web_form.SENDER.__slots__}
    return type(web_form.SENDER)(**{**names, "map_delivery": mapping})


async def test_a_browser_may_read_a_refusal_and_when_to_come_again(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail, monkeypatch: pytest.MonkeyPatch
):
    path = await make_source("web_form", allowed_origins=[ORIGIN])
    headers = {"Origin": ORIGIN, "Idempotency-Key": new_id()}
    await ingest.http.post(path, json={"email": fresh_email()}, headers=headers)
    conflict = await ingest.http.post(path, json={"email": fresh_email()}, headers=headers)
    monkeypatch.setattr(ingest.runtime.database, "transaction", _refuse)
    away = await ingest.http.post(path, json={"email": fresh_email()}, headers={"Origin": ORIGIN})
    assert [answer.status_code for answer in (conflict, away)] == [422, 503]
    assert {answer.headers.get("access-control-allow-origin") for answer in (conflict, away)} == {ORIGIN}


def _refuse() -> None:
    raise ConnectionRefusedError


async def test_an_activity_with_control_characters_never_reaches_the_other_services(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: FreshEmail
):
    await ingest.http.post(await make_source("web_form"), json={"email": fresh_email()})
    [captured] = await ingest.published()
    url = f"/v1/leads/{captured.lead_id}/activities"
    for detail in ({"a\u0000": "b"}, {"a": "b\u0000"}, {"a\r\nb": "c"}):
        assert (await ingest.http.post(url, json={"kind": "reply", "detail": detail})).status_code == 422
    assert await ingest.published() == []


async def test_a_handshake_is_answered_ten_times_a_minute_at_most(ingest: ServiceHarness):
    created = (await ingest.http.post("/v1/sources", json={"kind": "zoom"})).json()

    async def ask() -> int:
        body = b'{"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}'
        now = int(ingest.clock.now().timestamp())
        mac = hmac.new(created["secret"].encode(), f"v0:{now}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {"x-zm-request-timestamp": str(now), "x-zm-signature": f"v0={mac}"}
        headers["content-type"] = "application/json"
        return (await ingest.http.post(created["submissions_path"], content=body, headers=headers)).status_code

    statuses = [await ask() for _ in range(11)]
    ingest.clock.advance(seconds=61)
    assert [*statuses, await ask()] == [200] * 10 + [503, 200]


async def test_a_change_based_on_an_old_look_is_refused(ingest: ServiceHarness):
    created = await ingest.http.post("/v1/sources", json={"kind": "web_form"})
    url = created.headers["location"]
    seen = (await ingest.http.get(url)).headers["etag"]
    first = await ingest.http.patch(url, json={"name": "A"}, headers={"If-Match": seen})
    late = await ingest.http.patch(url, json={"name": "B"}, headers={"If-Match": seen})
    late_delete = await ingest.http.delete(url, headers={"If-Match": seen})
    again = await ingest.http.patch(url, json={"name": "C"}, headers={"If-Match": late.headers["etag"]})
    assert created.headers["etag"] == seen
    assert [answer.status_code for answer in (first, late, late_delete, again)] == [200, 412, 412, 200]
    assert (again.json()["name"], again.headers["etag"]) == ("C", f'"{again.json()["revision"]}"')


async def test_of_two_changes_at_once_based_on_the_same_look_one_is_refused(ingest: ServiceHarness):
    url = (await ingest.http.post("/v1/sources", json={"kind": "web_form"})).headers["location"]
    seen = (await ingest.http.get(url)).headers["etag"]
    answers = await asyncio.gather(
        *(ingest.http.patch(url, json={"name": name}, headers={"If-Match": seen}) for name in "ab")
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_a_source_created_twice_with_one_key_is_one_source_with_one_secret(ingest: ServiceHarness):
    headers = {"Idempotency-Key": new_id()}
    answers = [await ingest.http.post("/v1/sources", json={"kind": "zoom"}, headers=headers) for _ in range(2)]
    stored = str(await ingest.fetch("SELECT answer::text FROM idempotency"))
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["location"] == f"/v1/sources/{answers[0].json()['key']}"
    assert answers[0].json()["secret"].encode().hex() not in stored


@pytest.mark.parametrize("path", ["/v1/sources", "/v1/quarantine"])
@pytest.mark.parametrize("cursor", ["nonsense", "WyJ4IiwieSJd", "W10", "%00"])
async def test_a_cursor_of_somebody_else_is_a_422(ingest: ServiceHarness, path: str, cursor: str):
    answer = await ingest.http.get(path, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query:/cursor")


async def test_a_sandboxed_frame_can_never_be_allowed(ingest: ServiceHarness):
    for origin in ("null", "https://a.example\n"):
        answer = await ingest.http.post("/v1/sources", json={"kind": "web_form", "allowed_origins": [origin]})
        assert answer.status_code == 422


async def test_the_openapi_document_shows_the_door_as_it_is(ingest: ServiceHarness):
    document = (await ingest.http.get("/openapi.json")).json()
    door = document["paths"]["/v1/sources/{key}/submissions"]
    assert set(door["post"]["responses"]) == {
        "200", "400", "401", "403", "404", "408", "413", "415", "422", "503",
    }  # fmt: skip
    assert {"application/json", "text/plain", "application/cloudevents-batch+json"} <= set(
        door["post"]["requestBody"]["content"]
    )
    assert "Idempotency-Key" in {parameter["name"] for parameter in door["post"]["parameters"]}
    assert {"200", "400", "404", "405", "503"} <= set(door["get"]["responses"])
    create = document["paths"]["/v1/sources"]["post"]
    assert [item["name"] for item in create["parameters"]] == ["Idempotency-Key"]
