"""The door as a process, with whatever a stranger may post: a 4xx that says where, a quarantine, never a 5xx."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.load.senders import Post, Signing, sign_hubspot, sign_typeform, sign_zoom
from local_stack.load.setup import SITE
from shared.clock import SystemClock

from .installation import Installation
from .traffic import Traffic

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

SAFE = (200, 400, 401, 404, 405, 408, 413, 415, 422)
MANY = settings(max_examples=60, deadline=None)
JSON = {"content-type": "application/json", "origin": SITE}


@pytest.fixture(scope="module")
def service_names() -> tuple[str, ...]:
    """Return what the door needs: itself, and routing for the reps and the CRM of the set-up."""
    return ("ingest", "routing")


@pytest.fixture(scope="module")
def door(installation: Installation) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=installation.urls["ingest"], timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def admin(installation: Installation) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=installation.urls["ingest"], headers=installation.headers, timeout=20, trust_env=False
    ) as client:
        yield client


def post(door: httpx.Client, traffic: Traffic, kind: str, delivery: Post) -> httpx.Response:
    return door.post(traffic.url(kind), content=delivery.body, headers=delivery.headers)


def signing(installation: Installation, kind: str) -> Signing:
    assert installation.setup is not None
    return installation.setup.signing[kind]


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem document of *answer*, which must be one."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["type"]) == (status, f"https://leadrail.dev/problems/{code}"), problem
    assert problem["title"]
    return problem


@pytest.mark.parametrize("kind", ["zoom", "typeform", "hubspot", "standard_webhooks", "cloudevents"])
def test_delivery_changed_on_the_way_is_401_and_leaves_no_trace(
    door: httpx.Client, admin: httpx.Client, traffic: Traffic, kind: str
) -> None:
    before = admin.get("/v1/ledger").json()["accepted"]
    delivery = traffic.delivery(kind, traffic.person("forged"))
    token = delivery.headers.get("authorization")
    forged = (
        Post({**delivery.headers, "authorization": token + "x"}, delivery.body)
        if token  # a bearer token signs no body
        else Post(delivery.headers, delivery.body.replace(b"forged", b"forget"))
    )
    check_problem(post(door, traffic, kind, forged), 401, "unauthorized")
    assert admin.get("/v1/ledger").json()["accepted"] == before


def test_unknown_key_is_404(door: httpx.Client) -> None:
    check_problem(door.post("/v1/sources/nobody-knows-it/submissions", content=b"{}"), 404, "source_not_found")


DEEP = b'{"a":' * 40 + b"1" + b"}" * 40


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b'{"email": "a@b.example", "pad": "' + b"x" * (1 << 20) + b'"}', 413, "body_too_large", ""),
        (DEEP, 422, "json_too_deep", "/a" * 32),
        (b"[" * 100_000, 422, "json_too_deep", ""),
        (b'{"answers": [{"score": NaN}]}', 422, "number_not_finite", "/answers/0/score"),
        (b'{"score": 1e999}', 422, "number_not_finite", "/score"),
        (b'{"name": {"first": "a\\u0000b"}}', 422, "null_character", "/name/first"),
        (b'{"name": "\\ud800"}', 422, "lone_surrogate", "/name"),
        (b'{"a": 1, "a": 2}', 422, "duplicate_key", "/a"),
        (b'{"email": ', 400, "not_json", ""),
        (b"", 400, "not_json", ""),
        (b"\xff\xfe{}", 400, "not_utf8", ""),
    ],
    ids=[
        "too large", "too deep", "brackets only", "NaN", "infinite", "U+0000", "lone surrogate", "duplicate key",
        "cut off", "empty", "not UTF-8",
    ],
)  # fmt: skip
def test_body_that_cannot_be_kept_is_refused_with_the_place_named(
    door: httpx.Client, traffic: Traffic, body: bytes, status: int, code: str, pointer: str
) -> None:
    answer = door.post(traffic.url("web_form"), content=body, headers=JSON)
    problem = check_problem(answer, status, code)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_refused_fields_are_named_by_json_pointer_at_the_api_too(admin: httpx.Client, traffic: Traffic) -> None:
    answer = admin.post("/v1/leads/01a20d20-3328-7179-9445-05474de8a2d5/activities", json={"kind": "dance", "extra": 1})
    problem = check_problem(answer, 422, "invalid_request")
    assert {error["pointer"] for error in problem["errors"]} == {"/kind", "/extra"}


def test_verified_delivery_that_nobody_can_map_is_200_quarantined_listed_and_replayable(
    door: httpx.Client, admin: httpx.Client, installation: Installation, traffic: Traffic
) -> None:
    person = traffic.person("unmappable")
    payload = json.loads(traffic.delivery("typeform", person).body)
    answers = payload["form_response"]["answers"]
    for answer in answers:
        if answer["type"] == "email":
            answer.update(type="text", text=answer.pop("email"), field={"id": "q", "ref": "q-17", "type": "short_text"})
    payload["form_response"]["definition"]["fields"][0].update(id="q", ref="q-17", title="Where do we reach you?")
    delivery = sign_typeform(json.dumps(payload).encode(), signing(installation, "typeform"))
    accepted = post(door, traffic, "typeform", delivery)
    assert accepted.status_code == 200, accepted.text
    [record] = accepted.json()["records"]
    assert record["nature"] == "quarantined"
    [listed] = admin.get("/v1/quarantine", params={"source": "local-typeform"}).json()["items"]
    assert listed["record_id"] == record["record_id"]
    shown = json.dumps(listed["payload"])
    assert [value for value in (person.email, person.last_name, person.company) if value in shown] == []

    replay = f"/v1/quarantine/{record['record_id']}/replay"
    check_problem(admin.post(replay), 409, "still_unmappable")
    mended = admin.patch("/v1/sources/local-typeform", json={"field_mapping": {"q-17": "email"}, "why": "a new form"})
    assert mended.status_code == 200, mended.text
    replayed = admin.post(replay)
    assert replayed.status_code == 200, replayed.text
    [again] = replayed.json()["records"]
    assert (again["record_id"], again["nature"]) == (record["record_id"], "lead")
    check_problem(admin.post(replay), 409, "not_quarantined")
    ledger = admin.get("/v1/ledger", params={"verify": True}).json()
    assert (ledger["balanced"], ledger["quarantined"]) == (True, 0)


def check_never_ours(answer: httpx.Response) -> None:
    """A stranger's input is never our failure, and what is refused is a problem document."""
    assert answer.status_code in SAFE, f"{answer.status_code}: {answer.text[:300]}"
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json"


@MANY
@given(
    body=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    content_type=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain",
         "multipart/form-data", "application/json; charset=latin-1", ""]
    ),
    key=st.one_of(st.none(), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=250)),
)  # fmt: skip
def test_any_bytes_from_a_stranger_are_never_a_5xx(
    door: httpx.Client, traffic: Traffic, body: bytes, content_type: str, key: str | None
) -> None:
    headers = {"content-type": content_type, "origin": SITE, **({"idempotency-key": key} if key is not None else {})}
    check_never_ours(door.post(traffic.url("web_form"), content=body, headers=headers))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
    | st.sampled_from(["a@b.example", "+1 415 555 0100", "2026-11-24T10:00:00Z", "yes"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
KNOWN = st.sampled_from(
    ["email", "phone", "event", "event_type", "payload", "object", "registrant", "form_response", "answers", "field",
     "definition", "fields", "data", "type", "id", "token", "eventId", "subscriptionType", "propertyName",
     "propertyValue", "objectId", "occurredAt", "event_ts", "custom_questions", "submitted_at", "hidden"]
)  # fmt: skip
SHAPES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KNOWN, inner, max_size=6),
    max_leaves=15,
)


@pytest.mark.parametrize("kind", ["zoom", "typeform", "hubspot"])
@MANY
@given(payload=SHAPES)
def test_any_json_that_a_known_sender_signs_is_never_a_5xx(
    door: httpx.Client, installation: Installation, traffic: Traffic, kind: str, payload: Any
) -> None:
    body, now = json.dumps(payload).encode(), SystemClock().now()
    match kind:
        case "zoom":
            delivery = sign_zoom(body, signing(installation, kind), now)
        case "typeform":
            delivery = sign_typeform(body, signing(installation, kind))
        case _:
            delivery = sign_hubspot(body, signing(installation, kind), now)
    check_never_ours(post(door, traffic, kind, delivery))


def test_nothing_of_all_that_unbalanced_the_ledger_or_hurt_the_process(
    admin: httpx.Client, installation: Installation
) -> None:
    ledger = admin.get("/v1/ledger", params={"verify": True}).json()
    assert ledger["balanced"], ledger
    assert ledger["accepted"] > 0
    log = installation.log_of("ingest")
    assert "request_failed" not in log
    assert "mapping_failed" not in log
    installation.services["ingest"].child.check_running()
