"""More than the door can keep is answered 503 with Retry-After, and never refused for good."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from ingest.__main__ import build_service
from ingest.settings import IngestSettings
from shared.ids import new_id
from shared.testing import ServiceHarness

_FILL_OUTBOX = """
    INSERT INTO outbox (id, owner, key, event)
    SELECT $1::uuid, $2, 'nobody', string_agg(decode(md5(n::text), 'hex'), ''::bytea)
    FROM generate_series(1, 100000) AS n
"""


async def _form(harness: ServiceHarness) -> str:
    created = await harness.http.post("/v1/sources", json={"kind": "web_form"})
    path: str = created.json()["submissions_path"]
    return path


def _shed(limit: str) -> float:
    return REGISTRY.get_sample_value("leadrail_http_shed_total", {"reason": limit}) or 0.0


@pytest.mark.parametrize(("limit", "most"), [("requests", {"queue_requests": 1}), ("age", {"queue_seconds": 1e-9})])
async def test_when_too_much_waits_the_answer_is_come_again(
    database_url: str, fresh_email: Callable[[], str], limit: str, most: dict[str, Any]
):
    before = _shed(limit)
    async with ServiceHarness.start(build_service, IngestSettings, database_url, **most) as small:
        path = await _form(small)
        responses = await asyncio.gather(*(small.http.post(path, json={"email": fresh_email()}) for _ in range(30)))
        later = await small.http.post(path, json={"email": fresh_email()})
    assert {response.status_code for response in responses} == {200, 503}
    assert {response.headers.get("retry-after") for response in responses} == {None, "1"}
    assert _shed(limit) - before == sum(response.status_code == 503 for response in responses)
    assert later.status_code == 200


async def test_bodies_that_are_still_being_read_count(database_url: str, fresh_email: Callable[[], str]):
    arrived, last_chunk = asyncio.Semaphore(0), asyncio.Event()

    async def slowly(email: str) -> AsyncIterator[bytes]:
        yield b'{"email":"' + email.encode() + b'","message":"' + b"x" * 600_000
        arrived.release()
        await last_chunk.wait()
        yield b'"}'

    async with ServiceHarness.start(build_service, IngestSettings, database_url, queue_bytes=1 << 20) as small:
        path = await _form(small)
        headers = {"content-type": "application/json"}
        first = asyncio.create_task(small.http.post(path, content=slowly(fresh_email()), headers=headers))
        await arrived.acquire()
        second = await small.http.post(path, content=slowly(fresh_email()), headers=headers)
        last_chunk.set()
        assert (second.status_code, second.headers["retry-after"]) == (503, "1")
        assert (await first).status_code == 200
        assert (await small.http.post(path, json={"email": fresh_email()})).status_code == 200


async def test_before_the_outbox_fills_the_disk_the_door_closes_and_opens_when_it_is_empty(
    database_url: str, fresh_email: Callable[[], str]
):
    async with ServiceHarness.start(build_service, IngestSettings, database_url, outbox_bytes=1 << 20) as small:
        path = await _form(small)
        await small.fetch(_FILL_OUTBOX, new_id(), small.runtime.owner)
        await small.runtime.relay.run_once()
        responses = [await small.http.post(path, json={"email": fresh_email()})]
        await small.fetch("DELETE FROM outbox")
        await small.runtime.relay.run_once()
        responses.append(await small.http.post(path, json={"email": fresh_email()}))
    assert [(response.status_code, response.headers.get("retry-after")) for response in responses] == [
        (503, "1"), (200, None),
    ]  # fmt: skip
