"""A routing service with a database of its own, and a CRM that can misbehave."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web

from routing.__main__ import build_service
from routing.delivery.worker import DeliveryWorker
from routing.settings import RoutingSettings
from shared.testing import ServiceHarness

StartRouting = Callable[..., AbstractAsyncContextManager[ServiceHarness]]
LOOPBACK = "127.0.0.0/8"


@pytest.fixture
def start_routing(database_url: str) -> StartRouting:
    """Return a function that starts a routing service that knows nothing yet, with settings of the test's choice."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[ServiceHarness]:
        await forget_everything(database_url)
        values = {"allowed_private_targets": LOOPBACK, **settings}
        async with ServiceHarness.start(build_service, RoutingSettings, database_url, **values) as harness:
            yield harness

    return start


async def forget_everything(database_url: str) -> None:
    """Empty every table of the module's database, if there are any: cheaper than another migration."""
    connection = await asyncpg.connect(database_url)
    try:
        names = await connection.fetch(
            "SELECT format('routing.%I', relname) AS name FROM pg_class WHERE relnamespace = to_regnamespace('routing')"
            " AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT IN ('alembic_version', 'roster_version')"
        )
        if names:
            # Append-only tables refuse to be emptied; a replica's session does not ask them.
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(f"TRUNCATE {', '.join(row['name'] for row in names)}")
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def routing(start_routing: StartRouting) -> AsyncIterator[ServiceHarness]:
    """Yield a routing service with its shipped document, no reps, and leave to call back on loopback."""
    async with start_routing() as harness:
        yield harness


async def add_rep(harness: ServiceHarness, rep_id: str, **fields: Any) -> dict[str, Any]:
    """Add a rep of team emea."""
    response = await harness.http.post(
        "/v1/reps", json={"rep_id": rep_id, "name": rep_id.title(), "team": "emea", **fields}
    )
    assert response.status_code == 201, response.text
    return dict(response.json())


@dataclass
class Delivery:
    """One request the CRM got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Verify as a receiver does, with its own code."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        message = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
        return expected in self.headers["webhook-signature"].split(" ")


@dataclass
class FakeCrm:
    """Answers 200, or what ``answers`` holds for a path: one answer per request, the last one for all that follow."""

    url: str = ""
    deliveries: list[Delivery] = field(default_factory=list)
    answers: dict[str, list[Callable[[], Awaitable[web.StreamResponse]]]] = field(default_factory=dict)
    _arrival: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with self._arrival:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.deliveries.append(Delivery(request.path, headers, body))
            self._arrival.notify_all()
        planned = self.answers.get(request.path)
        if planned:
            return await (planned.pop(0) if len(planned) > 1 else planned[0])()
        return web.Response()

    async def received(self, count: int, path: str | None = None) -> list[Delivery]:
        """Wait until *count* requests came (to *path*) and return them."""

        def so_far() -> list[Delivery]:
            return [item for item in self.deliveries if path in {None, item.path}]

        async with asyncio.timeout(20), self._arrival:
            await self._arrival.wait_for(lambda: len(so_far()) >= count)
        return so_far()

    def plan(self, path: str, *answers: Callable[[], Awaitable[web.StreamResponse]]) -> None:
        """Answer requests to *path* like that, in this order."""
        self.answers[path] = list(answers)


def status(code: int, **headers: str) -> Callable[[], Awaitable[web.StreamResponse]]:
    """Return an answer with *code* and *headers* (underscores are hyphens)."""

    async def answer() -> web.StreamResponse:
        await asyncio.sleep(0)
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def hang() -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    return web.Response()


async def flood() -> web.StreamResponse:
    """Answer with far more than anybody reads."""
    await asyncio.sleep(0)
    return web.Response(body=b"x" * 3_000_000)


@pytest_asyncio.fixture
async def crm() -> AsyncIterator[FakeCrm]:
    """Yield a CRM on loopback."""
    fake = FakeCrm()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    yield fake
    await runner.cleanup()


async def add_endpoint(harness: ServiceHarness, url: str, **fields: Any) -> dict[str, Any]:
    """Add an endpoint for every event type."""
    events = ["lead.assigned", "lead.reassigned", "consent.withdrawn"]
    response = await harness.http.post("/v1/endpoints", json={"url": url, "events": events, **fields})
    assert response.status_code == 201, response.text
    return dict(response.json())


@asynccontextmanager
async def delivering(harness: ServiceHarness) -> AsyncIterator[DeliveryWorker]:
    """Run a delivery worker; at the end it drains, so that everything that came back is recorded."""
    worker = DeliveryWorker(harness.runtime)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.drain()
        await asyncio.wait_for(task, 20)


async def failed(harness: ServiceHarness, attempts: int) -> None:
    """Wait until so many failed attempts are recorded: before that, moving the clock would move their next time."""
    async with asyncio.timeout(20):
        while len(await harness.fetch("SELECT FROM failed_attempt")) < attempts:
            pass


class Kit:
    """What the tests use, without imports between test modules."""

    add_rep = staticmethod(add_rep)
    add_endpoint = staticmethod(add_endpoint)
    delivering = staticmethod(delivering)
    failed = staticmethod(failed)
    status = staticmethod(status)
    hang = staticmethod(hang)
    flood = staticmethod(flood)


@pytest.fixture
def kit() -> type[Kit]:
    """Return the kit."""
    return Kit
