"""What a hostile or careless caller sends is answered with a problem document, never with a crash."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from shared.http import encode_cursor
from shared.runtime import Runtime
from shared.testing import RecordingPublisher, SteppedClock

from .batches import arrived, captured
from .conftest import Toy, ToyRepository


@pytest.fixture
async def runtime(toy: Toy) -> AsyncIterator[Runtime[ToyRepository]]:
    async with toy.runtime(clock=SteppedClock(), publisher=RecordingPublisher()) as runtime:
        yield runtime


@pytest.mark.parametrize("value", ["x", "-1", "9" * 30, "", "²"])
@pytest.mark.parametrize("path", ["/v1/parking", "/v1/dead-letters", "/v1/audit", "/v1/documents/toy_rules/versions"])
async def test_forged_cursor_is_refused(toy: Toy, runtime: Runtime[ToyRepository], path: str, value: str) -> None:
    async with toy.http(runtime, "admin") as client:
        answer = await client.get(path, params={"cursor": encode_cursor(value)})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "query:/cursor"


async def test_nul_in_the_address_is_a_bad_request(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "admin") as client:
        answer = await client.post("/v1/parking/toy/lead%00/skip", json={"why": "because"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_nul_in_a_text_is_refused_and_not_our_fault(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "admin") as client:
        answer = await client.post("/v1/documents/toy_rules/versions", json={"body": "limit: 2", "why": "because \x00"})
    assert answer.status_code == 422


@pytest.mark.parametrize("is_announced", [True, False])
async def test_body_larger_than_any_request_needs_is_refused_before_the_caller_is_known(
    toy: Toy, runtime: Runtime[ToyRepository], is_announced: bool
) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1 << 16
            yield b" " * (1 << 16)

    headers = {"content-type": "application/json"} | ({"content-length": str(1_000 << 16)} if is_announced else {})
    async with toy.http(runtime) as client:
        answer = await client.post("/v1/documents/toy_rules/versions", content=chunks(), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["type"].endswith("/body_too_large")


async def test_stored_version_this_release_cannot_read_is_not_applied_and_does_not_stop_the_service(
    toy: Toy, runtime: Runtime[ToyRepository]
) -> None:
    async with runtime.database.connection() as sql:
        await sql.execute(
            "INSERT INTO document (kind, version, body, created_at, created_by, why)"
            " VALUES ('toy_rules', 2, 'made by: a newer release', now(), 'x', 'y')"
        )
        async with toy.http(runtime, "admin") as client:
            answer = await client.post("/v1/documents/toy_rules/versions/2/apply", json={"why": "because"})
        await sql.execute("UPDATE live_document SET version = 2")
    await runtime.upkeep.run_once()
    [store] = runtime.service.documents
    assert answer.status_code == 409
    assert store.live.version == "1"


async def test_log_line_of_a_failed_request_says_where_and_not_what(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_nothing(*_: object, **__: object) -> None:
        raise KeyError("Dana Reyes")

    async with toy.runtime(clock=SteppedClock(), publisher=RecordingPublisher()) as runtime:
        [store] = runtime.service.documents
        monkeypatch.setattr(store, "list_versions", find_nothing)
        with capture_logs() as lines:
            async with toy.http(runtime, "admin") as client:
                answer = await client.get("/v1/documents/toy_rules/versions")
    assert answer.status_code == 500
    assert "Dana" not in answer.text + str(lines)
    assert "find_nothing" in str(lines)


async def test_log_line_of_a_parked_lead_says_where_and_not_what(toy: Toy) -> None:
    toy.faults.poison = {"Reyes"}
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        with capture_logs() as lines:
            await runtime.processors["toy"].process(arrived(captured("lead-1", "Reyes")))
    [line] = [line for line in lines if line["event"] == "lead_parked"]
    assert "cannot digest" not in str(line)
    assert "on_lead_captured" in line["stack"]
