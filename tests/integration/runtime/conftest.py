"""A toy service: one table, one handler that can be told to fail, on real Postgres and Kafka."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import MetaData

from shared.access import create_key
from shared.clock import Clock, SystemClock
from shared.contracts import LeadCaptured, LeadNurtured
from shared.db import ConnectionSql, Sql
from shared.documents import DocumentInvalid, DocumentStore, load_yaml
from shared.ids import new_id
from shared.migrations import POSITIONS_DDL, RUNTIME_DDL, split_statements
from shared.provision import create_topics, provision_database, role_url
from shared.runtime import Consumer, DueTimer, Received, Runtime, Service, UnitOfWork
from shared.runtime.server import build_app
from shared.settings import ServiceSettings
from shared.testing.builders import make_score

SECRET_KEY = "a-key-for-tests-only-0123456789abcdef"


@dataclass
class Faults:
    """What the toy's handlers do wrong. ``poison``: last names whose event raises ValueError."""

    poison: set[str] = field(default_factory=set)
    dependency_error: Exception | None = None
    calls: int = 0


class ToyRepository:
    """Appends to the table ``seen``; its order is the order of handling."""

    def __init__(self, sql: Sql, faults: Faults) -> None:
        self._sql = sql
        self.faults = faults

    async def save_seen(self, rows: Sequence[tuple[str, str]]) -> None:
        await self._sql.execute(
            "INSERT INTO seen (lead_id, name) SELECT * FROM unnest($1::text[], $2::text[])",
            [lead_id for lead_id, _ in rows],
            [name for _, name in rows],
        )


async def on_lead_captured(work: UnitOfWork[ToyRepository], batch: Sequence[Received[LeadCaptured]]) -> None:
    faults = work.repo.faults
    faults.calls += 1
    if faults.dependency_error is not None:
        raise faults.dependency_error
    for received in batch:
        if received.event.lead.last_name in faults.poison:
            raise ValueError("cannot digest this")
    await work.repo.save_seen([(received.key, received.event.lead.last_name or "") for received in batch])
    for received in batch:
        work.emit(LeadNurtured(lead_id=received.key, origin=received.event.origin, score=make_score()), cause=received)


async def on_reminder_due(work: UnitOfWork[ToyRepository], due: Sequence[DueTimer]) -> None:
    if any(timer.payload["name"] in work.repo.faults.poison for timer in due):
        raise ValueError("cannot digest this timer")
    await work.repo.save_seen([(timer.key, timer.payload["name"]) for timer in due])


def parse_rules(text: str) -> int:
    rules = load_yaml(text)
    if not isinstance(rules, dict) or not isinstance(rules.get("limit"), int):
        raise DocumentInvalid([{"pointer": "/limit", "detail": "a number is needed"}])
    return int(rules["limit"])


@dataclass
class Toy:
    """A place to run toy services against."""

    url: str
    settings: ServiceSettings
    faults: Faults

    def service(self) -> Service[ToyRepository]:
        return Service(
            name="toy",
            settings=self.settings,
            repository=lambda sql: ToyRepository(sql, self.faults),
            metadata=MetaData(),
            documents=(DocumentStore("toy_rules", parse_rules, default="limit: 1"),),
            consumers=(Consumer("toy", {LeadCaptured: on_lead_captured}),),
            timers={"reminder": on_reminder_due},
        )

    @asynccontextmanager
    async def runtime(self, clock: Clock | None = None, publisher: Any = None) -> AsyncIterator[Runtime[ToyRepository]]:
        runtime = Runtime(self.service(), clock=clock or SystemClock(), publisher=publisher)
        await runtime.open()
        try:
            yield runtime
        finally:
            await runtime.close()

    @asynccontextmanager
    async def http(self, runtime: Runtime[ToyRepository], *scopes: str) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a client of the toy's HTTP side with a key of *scopes*, or without a key."""
        headers = {}
        if scopes:
            connection = await asyncpg.connect(self.url)
            key = await create_key(ConnectionSql(connection), client=new_id(), scopes=scopes, now=runtime.clock.now())
            await connection.close()
            headers = {"Authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(app=build_app(runtime), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://toy", headers=headers) as client:
            yield client

    async def seen(self) -> list[tuple[str, str]]:
        rows = await self.fetch("SELECT lead_id, name FROM toy.seen ORDER BY seen_id")
        return [(row["lead_id"], row["name"]) for row in rows]

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(query, *args)
        finally:
            await connection.close()


@pytest.fixture
async def toy(create_database: Callable[..., str], kafka_bootstrap_servers: str, topic_prefix: str) -> Toy:
    """Provision a toy service in a database of its own; no topics yet."""
    url = create_database()
    await provision_database(url, SECRET_KEY, ["toy"])
    own_url = role_url(url, "toy", SECRET_KEY)
    connection = await asyncpg.connect(own_url, server_settings={"search_path": "toy"})
    try:
        for statement in split_statements(RUNTIME_DDL + POSITIONS_DDL):
            await connection.execute(statement)
        await connection.execute(
            "CREATE TABLE seen (seen_id bigint GENERATED ALWAYS AS IDENTITY, lead_id text, name text)"
        )
    finally:
        await connection.close()
    settings = ServiceSettings(
        database_url=SecretStr(own_url),
        secret_key=SecretStr(SECRET_KEY),
        KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap_servers,
        KAFKA_TOPIC_PREFIX=topic_prefix,
    )
    return Toy(url, settings, Faults())


@pytest.fixture
async def toy_with_topics(toy: Toy) -> Toy:
    """The toy, with the registry's topics on the real broker."""
    await create_topics(toy.settings, partitions=3)
    return toy
