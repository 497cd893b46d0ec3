"""Runs a service's handlers, timers and routes against a real Postgres; only the broker is replaced, by a recorder."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from pydantic import SecretStr

from shared.access import create_key
from shared.clock import format_instant
from shared.contracts import Event, encode_event
from shared.db import ConnectionSql, plain_url
from shared.ids import new_id
from shared.kafka import Outgoing
from shared.migrations import migrate
from shared.provision import provision_database, role_url
from shared.runtime.envelope import Arrived, received_from_outgoing
from shared.runtime.server import build_server_app
from shared.runtime.service import Runtime, Service
from shared.runtime.tracing import new_traceparent
from shared.settings import ServiceSettings
from shared.testing.clocks import SteppedClock
from shared.testing.publishing import RecordingPublisher

SECRET_KEY = "a-key-for-tests-only-0123456789abcdef"  # noqa: S105 - opens nothing but test databases


class ServiceHarness:
    """One service with its real schema and role in a database of its own."""

    def __init__(self, runtime: Runtime[Any], publisher: RecordingPublisher, clock: SteppedClock, url: str) -> None:
        self.runtime = runtime
        self.publisher = publisher
        self.clock = clock
        self.http: httpx.AsyncClient
        self._app = build_server_app(runtime)
        self._admin_url = url
        self._last: tuple[str, list[Arrived]] | None = None

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        build_service: Callable[[Any], Service[Any]],
        settings_class: type[ServiceSettings],
        database_url: str,
        clock: SteppedClock | None = None,
        **overrides: Any,
    ) -> AsyncIterator["ServiceHarness"]:
        """Provision, migrate and open the service in *database_url* (a superuser's URL)."""
        service_name = build_service(_settings(settings_class, database_url, overrides)).name
        await provision_database(database_url, SECRET_KEY, [service_name])
        url = role_url(database_url, service_name, SECRET_KEY)
        await asyncio.to_thread(migrate, service_name, url)
        clock, publisher = clock or SteppedClock(), RecordingPublisher()
        service = build_service(_settings(settings_class, url, overrides))
        runtime: Runtime[Any] = Runtime(service, clock=clock, publisher=publisher)
        await runtime.open()
        harness = cls(runtime, publisher, clock, database_url)
        try:
            async with harness.http_as("admin") as client:
                harness.http = client
                yield harness
        finally:
            await runtime.close()

    @asynccontextmanager
    async def http_as(self, *scopes: str) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a client whose key has *scopes*; without any, a client without a key."""
        headers = {"Authorization": f"Bearer {await self._create_key(scopes)}"} if scopes else {}
        transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            yield client

    async def feed(self, *events: Event, consumer: str | None = None) -> list[Event]:
        """Handle *events* as one polled batch; return everything that was published because of it."""
        now = self.clock.now()
        items = []
        for offset, event in enumerate(events):
            outgoing = Outgoing(
                new_id(),
                event.type,
                event.topic,
                event.lead_id,
                format_instant(now),
                encode_event(event),
                new_traceparent(),
            )
            items.append(Arrived(received_from_outgoing(outgoing, event), event.topic, 0, offset, outgoing.payload))
        name = consumer or self._consumer_of(events)
        self._last = (name, items)
        return await self._process(name, items)

    async def redeliver_last(self) -> list[Event]:
        """Handle the last batch once more, with the same event ids, as after a crash before the offset moved."""
        assert self._last is not None, "nothing was fed yet"
        return await self._process(*self._last)

    async def fire_due_timers(self) -> list[Event]:
        """Fire every timer that is due at the clock's instant; return what was published."""
        while await self.runtime.timers.run_once():
            pass
        return await self.published()

    async def published(self) -> list[Event]:
        """Flush the outbox and return what was published since the last look."""
        await self.runtime.outbox.run_once()
        return self.publisher.take()

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Run a query in the service's schema."""
        async with self.runtime.database.connection() as sql:
            return await sql.fetch(query, *args)

    async def _process(self, name: str, items: Sequence[Arrived]) -> list[Event]:
        outcome = await self.runtime.processors[name].process(items)
        self.runtime.outbox.add(outcome.from_outbox)
        await self.publisher.publish(outcome.caused)
        return await self.published()

    def _consumer_of(self, events: Sequence[Event]) -> str:
        wanted = {type(event) for event in events}
        for name, processor in self.runtime.processors.items():
            if wanted <= set(processor.handlers):
                return name
        message = f"no consumer of {self.runtime.name} handles {wanted}"
        raise AssertionError(message)

    async def _create_key(self, scopes: Sequence[str]) -> str:
        connection = await asyncpg.connect(plain_url(self._admin_url))
        try:
            return await create_key(
                ConnectionSql(connection), client=f"test-{new_id()}", scopes=scopes, now=self.clock.now()
            )
        finally:
            await connection.close()


def _settings(settings_class: type[ServiceSettings], url: str, overrides: dict[str, Any]) -> ServiceSettings:
    values = {"database_url": SecretStr(url), "secret_key": SecretStr(SECRET_KEY), **overrides}
    return settings_class(**values)
