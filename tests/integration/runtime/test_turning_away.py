"""Told to stop, a service turns its callers away before it closes the door; with its hands full it says so."""

import asyncio

import httpx

from shared.runtime.serving import serve
from shared.testing import RecordingPublisher

from .conftest import Toy
from .test_starting_and_stopping import unused_port


async def test_service_that_was_told_to_stop_serves_until_balancers_have_noticed(toy_with_topics: Toy) -> None:
    toy = toy_with_topics
    toy.settings = toy.settings.model_copy(update={"port": unused_port(), "turn_away_seconds": 2.0})
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(toy.service(), stop=stop))
    async with (
        asyncio.timeout(30),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{toy.settings.port}", trust_env=False) as client,
    ):
        before = await _answer(client, "/readyz", 200)
        stop.set()
        noticed = await _answer(client, "/readyz", 503)
        served = await client.get("/version")
        await serving
    assert "connection" not in before.headers
    assert noticed.json()["parts"]["shutdown"] == "draining"
    assert (served.status_code, served.headers["connection"]) == (200, "close")


async def _answer(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """Return the first answer with *status*; until then the service starts, or has not heard yet."""
    while True:
        try:
            answer = await client.get(path)
            if answer.status_code == status:
                return answer
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.02)


async def test_more_requests_than_may_be_in_hand_are_asked_to_come_again(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime, toy.http(runtime) as client:
        runtime.requests_in_hand = runtime.settings.requests_limit
        refused = await client.get("/v1/nothing")
        alive = await client.get("/livez")
        runtime.requests_in_hand -= 1
        served = await client.get("/v1/nothing")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["type"].endswith("/overloaded")
    assert (alive.status_code, served.status_code) == (200, 404)
