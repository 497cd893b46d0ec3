"""Sources are managed over HTTP: secrets shown once, rotation rejects nothing, every change audited."""

import hashlib
import hmac

import pytest

from ingest.api import directory_of
from shared.ids import new_id
from shared.testing import ServiceHarness


async def create(ingest: ServiceHarness, **fields: object) -> dict[str, object]:
    response = await ingest.http.post("/v1/sources", json={"kind": "zoom", **fields})
    assert response.status_code == 201, response.text
    created: dict[str, object] = response.json()
    return created


async def post_signed(ingest: ServiceHarness, key: object, secret: object) -> int:
    body, stamp = b'{"event": "x"}', str(int(ingest.clock.now().timestamp()))
    signature = hmac.new(str(secret).encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json", "x-zm-request-timestamp": stamp, "x-zm-signature": f"v0={signature}",
    }  # fmt: skip
    return (await ingest.http.post(f"/v1/sources/{key}/submissions", content=body, headers=headers)).status_code


async def test_a_secret_is_shown_once_and_stored_sealed(ingest: ServiceHarness):
    created = await create(ingest)
    assert len(str(created["secret"])) >= 32
    again = (await ingest.http.get(f"/v1/sources/{created['key']}")).text
    [row] = await ingest.fetch("SELECT secrets::text FROM source WHERE source_key = $1", created["key"])
    audit = await ingest.fetch("SELECT after::text FROM audit WHERE subject = $1", created["key"])
    assert all(str(created["secret"]) not in text for text in (again, row[0], audit[0][0]))
    assert await post_signed(ingest, created["key"], created["secret"]) == 200


async def test_a_rotated_secret_rejects_nothing_until_the_old_one_retires(ingest: ServiceHarness):
    created = await create(ingest)
    key, old = created["key"], created["secret"]
    response = await ingest.http.post(f"/v1/sources/{key}/secrets", json={"retire_others_after_seconds": 60})
    new = response.json()["secret"]
    assert [await post_signed(ingest, key, secret) for secret in (old, new)] == [200, 200]
    ingest.clock.advance(seconds=61)
    await ingest.http.post("/v1/sources", json={"kind": "web_form"})  # any change refreshes at once
    assert [await post_signed(ingest, key, secret) for secret in (old, new)] == [401, 200]


async def test_a_removed_secret_is_refused_at_once(ingest: ServiceHarness):
    created = await create(ingest)
    secrets = created["secrets"]
    assert isinstance(secrets, list)
    url = f"/v1/sources/{created['key']}/secrets/{secrets[0]['secret_id']}"
    assert [(await ingest.http.delete(url)).status_code for _ in range(2)] == [204, 404]
    assert await post_signed(ingest, created["key"], created["secret"]) == 401


async def test_a_change_made_elsewhere_is_seen(ingest: ServiceHarness):
    created = await create(ingest)
    await ingest.fetch(
        "UPDATE source SET is_suspended = TRUE, revision = nextval('source_revision') WHERE source_key = $1",
        created["key"],
    )
    await directory_of(ingest.runtime).refresh()
    assert await post_signed(ingest, created["key"], created["secret"]) == 503


async def test_a_deleted_source_is_gone(ingest: ServiceHarness):
    created = await create(ingest)
    assert (await ingest.http.delete(f"/v1/sources/{created['key']}")).status_code == 204
    assert await post_signed(ingest, created["key"], created["secret"]) == 404
    assert (await ingest.http.get(f"/v1/sources/{created['key']}")).status_code == 404


async def test_a_change_touches_only_what_was_sent(ingest: ServiceHarness):
    created = await create(ingest, name="Webinars", field_mapping={"q": "email"}, defaults={"country": "DE"})
    changed = (await ingest.http.patch(f"/v1/sources/{created['key']}", json={"name": "Zoom", "why": "clearer"})).json()
    assert (changed["name"], changed["field_mapping"], changed["defaults"]) == (
        "Zoom",
        {"q": "email"},
        {"country": "DE"},
    )
    [audit] = await ingest.fetch(
        "SELECT why, before->>'name' AS before, after->>'name' AS after FROM audit"
        " WHERE subject = $1 AND action = 'source.change'",
        created["key"],
    )
    assert tuple(audit) == ("clearer", "Webinars", "Zoom")


async def test_sources_are_listed_in_pages(ingest: ServiceHarness):
    keys = sorted([str((await create(ingest, key=f"p-{new_id()}"))["key"]) for _ in range(3)])
    seen, cursor = [], None
    for _ in range(100):
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await ingest.http.get("/v1/sources", params=query)).json()
        seen += [item["key"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [key for key in seen if key in keys] == keys
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("request_body", "pointer"),
    [
        ({"kind": "carrier_pigeon"}, "/kind"),
        ({"kind": "zoom", "key": "No Good"}, "/key"),
        ({"kind": "zoom", "secret": "short"}, "/secret"),
        ({"kind": "standard_webhooks", "secret": "whsec_not base64"}, "/secret"),
        ({"kind": "web_form", "allowed_origins": ["https://acme.com/path"]}, "/allowed_origins"),
        ({"kind": "web_form", "surprise": 1}, "/surprise"),
        ({"kind": "web_form", "defaults": {"activities": ["dancing"]}}, "/defaults/activities/0"),
    ],
)
async def test_a_source_that_makes_no_sense_is_refused(
    ingest: ServiceHarness, request_body: dict[str, object], pointer: str
):
    response = await ingest.http.post("/v1/sources", json=request_body)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_key_is_taken_once(ingest: ServiceHarness):
    key = f"k-{new_id()}"
    statuses = [
        (await ingest.http.post("/v1/sources", json={"kind": "web_form", "key": key})).status_code for _ in range(2)
    ]
    assert statuses == [201, 409]


async def test_managing_sources_needs_the_scope(ingest: ServiceHarness):
    async with ingest.http_as("leads:read", "ingest:write") as reader, ingest.http_as() as stranger:
        statuses = [
            (await client.post("/v1/sources", json={"kind": "web_form"})).status_code for client in (reader, stranger)
        ]
    assert statuses == [403, 401]
