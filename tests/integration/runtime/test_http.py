"""The routes every service has: who may call them, what they answer, what they change."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared import access
from shared.db import ConnectionSql
from shared.http import encode_cursor
from shared.runtime import Runtime
from shared.testing import RecordingPublisher, SteppedClock

from .batches import arrived, captured
from .conftest import Toy, ToyRepository


@pytest.fixture
async def runtime(toy: Toy) -> AsyncIterator[Runtime[ToyRepository]]:
    async with toy.runtime(clock=SteppedClock(), publisher=RecordingPublisher()) as runtime:
        yield runtime


async def test_route_without_key_is_refused_and_says_so_as_problem(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime) as client:
        answer = await client.get("/v1/parking")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith("/unauthorized")
    assert len(answer.json()["trace_id"]) == 32


@pytest.mark.parametrize("key", ["", "nonsense", "lr_", "lr_0011_x", "lr_00112233445566aa_" + "x" * 32, "lr_\x00_y"])
async def test_wrong_key_is_refused(toy: Toy, runtime: Runtime[ToyRepository], key: str) -> None:
    async with toy.http(runtime) as client:
        answer = await client.get("/v1/parking", headers={"X-API-Key": key})
    assert answer.status_code == 401


async def test_key_without_the_scope_is_refused(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "leads:read") as client:
        answer = await client.get("/v1/parking")
    assert answer.status_code == 403
    assert "ops:replay" in answer.json()["detail"]


async def test_revocation_holds_from_the_next_request_on(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "ops:replay") as client:
        assert (await client.get("/v1/parking")).status_code == 200
        await toy.fetch("UPDATE access.api_key SET revoked_at = now()")
        assert (await client.get("/v1/parking")).status_code == 401


async def test_expired_key_is_refused(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "ops:replay") as client:
        await toy.fetch("UPDATE access.api_key SET expires_at = $1", runtime.clock.now())
        assert (await client.get("/v1/parking")).status_code == 401


async def test_client_has_at_most_two_active_keys_and_no_secret_is_stored(
    toy: Toy, runtime: Runtime[ToyRepository]
) -> None:
    connection = await asyncpg.connect(toy.url)
    try:
        sql, now = ConnectionSql(connection), runtime.clock.now()
        keys = [await access.create_key(sql, client="crm", scopes=["admin"], now=now) for _ in range(2)]
        with pytest.raises(access.TooManyKeys):
            await access.create_key(sql, client="crm", scopes=["admin"], now=now)
        [first, _] = await sql.fetch("SELECT * FROM access.api_key WHERE client = 'crm' ORDER BY created_at, key_id")
        assert await access.revoke_key(sql, key_id=first["key_id"], now=now)
        await access.create_key(sql, client="crm", scopes=["admin"], now=now)
    finally:
        await connection.close()
    stored = str(await toy.fetch("SELECT * FROM access.api_key"))
    assert not any(key.split("_", 2)[2] in stored for key in keys)


async def test_health_routes_need_no_key(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime) as client:
        assert (await client.get("/livez")).json()["status"] == "alive"
        assert (await client.get("/version")).json()["service"] == "toy"
        assert "leadrail_speed_to_lead_seconds" in (await client.get("/metrics")).text
        assert (await client.get("/readyz")).json()["parts"]["postgres"] == "ok"


async def test_metrics_behind_a_proxy_need_their_token(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime) as client:
        answer = await client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
    assert answer.status_code == 401


async def test_parked_lead_is_listed_retried_and_audited_over_http(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    toy.faults.poison = {"bad"}
    await runtime.processors["toy"].process(arrived(captured("lead-1", "bad"), captured("lead-1", "b")))
    async with toy.http(runtime, "admin") as client:
        first = (await client.get("/v1/parking", params={"limit": 1})).json()
        second = (await client.get("/v1/parking", params={"limit": 1, "cursor": first["next_cursor"]})).json()
        failing = await client.post("/v1/parking/toy/lead-1/retry")
        toy.faults.poison = set()
        released = await client.post("/v1/parking/toy/lead-1/retry")
        again = await client.post("/v1/parking/toy/lead-1/retry")
        audit = (await client.get("/v1/audit")).json()
    assert [first["items"][0]["lead_id"], second["items"][0]["lead_id"]] == ["lead-1", "lead-1"]
    assert second["next_cursor"] is None
    assert failing.status_code == 409
    assert released.json() == {"released": 2, "remaining": 0}
    assert again.status_code == 404
    assert [item["action"] for item in audit["items"]] == ["parking.retried"]


async def test_document_is_validated_applied_and_rolled_back_with_an_audit_row_each(
    toy: Toy, runtime: Runtime[ToyRepository]
) -> None:
    [store] = runtime.service.documents
    base = "/v1/documents/toy_rules"
    async with toy.http(runtime, "admin") as client:
        bad = await client.post(f"{base}/versions", json={"body": "limit: many", "why": "a try"})
        draft = await client.post(f"{base}/versions", json={"body": "limit: 5", "why": "more room"})
        assert store.live.value == 1
        applied = await client.post(f"{base}/versions/2/apply", json={"why": "agreed on Monday"})
        assert store.live.value == 5
        again = await client.post(f"{base}/versions/2/apply", json={"why": "the answer was lost"})
        rolled_back = await client.post(f"{base}/rollback", json={"why": "too much"})
        assert store.live.value == 1
        unknown = await client.post(f"{base}/versions/9/apply", json={"why": "typo"})
        audit = (await client.get("/v1/audit")).json()
    assert bad.status_code == 422
    assert bad.json()["errors"] == [{"pointer": "/limit", "detail": "a number is needed"}]
    assert draft.json()["version"] == 2
    assert applied.json()["is_live"] is again.json()["is_live"] is True
    assert rolled_back.json()["version"] == 1, "a version that was applied twice is not its own predecessor"
    assert unknown.status_code == 404
    assert [item["action"] for item in audit["items"]] == [
        "toy_rules.rolled_back",
        "toy_rules.applied",
        "toy_rules.applied",
        "toy_rules.drafted",
    ]


async def test_stored_document_and_audit_rows_cannot_be_changed(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    for statement in ("UPDATE document SET body = 'x'", "DELETE FROM document", "TRUNCATE audit", "DELETE FROM audit"):
        async with runtime.database.connection() as sql:
            with pytest.raises(Exception, match="append-only"):
                await sql.execute(statement)


async def test_cursor_of_another_list_is_a_clear_error(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "admin") as client:
        answer = await client.get("/v1/parking", params={"cursor": "bm9uc2Vuc2U"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "query:/cursor"


async def test_audit_shows_the_changes_of_one_subject_on_every_page(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with runtime.work() as work:
        for number in range(3):
            for subject in ("s-1", "s-2"):
                work.audit(actor="crm", action=f"thing.{number}", subject=subject)
    async with toy.http(runtime, "admin") as client:
        query: dict[str, str | int] = {"subject": "s-1", "limit": 2}
        first = (await client.get("/v1/audit", params=query)).json()
        second = (await client.get("/v1/audit", params={**query, "cursor": first["next_cursor"]})).json()
    items = [*first["items"], *second["items"]]
    assert [(item["subject"], item["action"]) for item in items] == [
        ("s-1", "thing.2"), ("s-1", "thing.1"), ("s-1", "thing.0"),
    ]  # fmt: skip
    assert second["next_cursor"] is None


LISTS = ("/v1/parking", "/v1/dead-letters", "/v1/audit", "/v1/documents/toy_rules/versions")


@pytest.mark.parametrize("value", ["x", "-1", "9" * 30, "\u0661", "1e3", ""])
async def test_forged_cursor_is_a_clear_error_on_every_list(
    toy: Toy, runtime: Runtime[ToyRepository], value: str
) -> None:
    async with toy.http(runtime, "admin") as client:
        answers = [await client.get(path, params={"cursor": encode_cursor(value)}) for path in LISTS]
    found = {(answer.status_code, answer.json()["errors"][0]["pointer"]) for answer in answers}
    assert found == {(422, "query:/cursor")}
