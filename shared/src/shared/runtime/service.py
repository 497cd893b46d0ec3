"""A service: its parts wired together, started in order, drained in the reverse order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from fastapi import APIRouter
from sqlalchemy import MetaData
from starlette.routing import Route

from shared import failpoints
from shared.clock import Clock
from shared.db import Database, Sql
from shared.documents import DocumentStore
from shared.kafka import EventPublisher, Publisher
from shared.runtime.consuming import ConsumerLoop
from shared.runtime.effects import save_effects
from shared.runtime.outbox import OutboxPublisher, OutboxRelay, new_owner
from shared.runtime.processing import BatchProcessor
from shared.runtime.timers import TimerLoop
from shared.runtime.turns import Turns
from shared.runtime.upkeep import Upkeep, until_served
from shared.runtime.work import Consumer, Effects, Handlers, TimerHandlers, UnitOfWork
from shared.secret_box import SecretBox
from shared.settings import ServiceSettings

R = TypeVar("R")
T = TypeVar("T")


class Worker(Protocol):
    """A background duty of one service."""

    async def run(self) -> None:
        """Work until `drain`."""
        ...

    async def drain(self) -> None:
        """Finish what is in hand and let `run` return."""
        ...


@dataclass(frozen=True)
class Service(Generic[R]):
    """What a composition root declares."""

    name: str
    settings: ServiceSettings
    repository: Callable[[Sql], R]
    metadata: MetaData
    consumers: Sequence[Consumer[R]] = ()
    timers: TimerHandlers[R] = field(default_factory=dict)
    documents: Sequence[DocumentStore[Any]] = ()
    build_router: Callable[["Runtime[R]"], APIRouter] | None = None
    build_fast_routes: Callable[["Runtime[R]"], Sequence[Route]] | None = None
    workers: Sequence[Callable[["Runtime[R]"], Worker]] = ()
    partitioned_tables: Mapping[str, timedelta] = field(default_factory=dict)
    recovery: Handlers[R] = field(default_factory=dict)
    """What learns again, from the service's own announcements, what a restored database has forgotten. Called with
    events that may be known: those change nothing. Nothing is emitted."""

    @property
    def schema(self) -> str:
        """Return the service's Postgres schema (and import name)."""
        return self.name.replace("-", "_")


class Runtime(Generic[R]):
    """A running service: transactions for the API and the workers, and the loops behind them."""

    def __init__(
        self, service: Service[R], *, clock: Clock | None = None, publisher: EventPublisher | None = None
    ) -> None:
        settings = service.settings
        self.service = service
        self.name = service.name
        self.settings = settings
        self.clock = clock or failpoints.process_clock()
        self.secrets = SecretBox(settings.secret_key.get_secret_value())
        self.database = Database(
            settings.database_url.get_secret_value(),
            schema=service.schema,
            application_name=f"leadrail-{service.name}",
            size=settings.database_pool_size,
        )
        self.owner = new_owner()
        self.publisher = publisher or Publisher(settings, f"leadrail/{service.name}")
        self.outbox = OutboxPublisher(self.database, self.publisher, self.owner)
        self.relay = OutboxRelay(self.database, self.publisher, self.owner, self.clock)
        self.timers = TimerLoop(
            service.timers,
            database=self.database,
            repository=service.repository,
            clock=self.clock,
            owner=self.owner,
            on_outbox=self.outbox.add,
        )
        self.upkeep = Upkeep(
            self.database,
            self.clock,
            service.documents,
            service.partitioned_tables,
            [consumer.name for consumer in service.consumers],
        )
        self.processors = {consumer.name: self._processor(consumer) for consumer in service.consumers}
        self.loops = {consumer.name: self._loop(consumer) for consumer in service.consumers}
        self.workers = [make(self) for make in service.workers]
        self.is_draining = False
        self.requests_in_hand = 0
        self.turns = Turns()

    def _processor(self, consumer: Consumer[R]) -> BatchProcessor[R]:
        return BatchProcessor(
            consumer,
            database=self.database,
            repository=self.service.repository,
            clock=self.clock,
            owner=self.owner,
            park_limit=self.settings.park_limit,
            on_timer=self.timers.wake,
        )

    def _loop(self, consumer: Consumer[R]) -> ConsumerLoop[R]:
        return ConsumerLoop(
            consumer,
            settings=self.settings,
            database=self.database,
            processor=self.processors[consumer.name],
            publisher=self.publisher,
            on_outbox=self.outbox.add,
        )

    def work(self, traceparent: str = "") -> AbstractAsyncContextManager[UnitOfWork[R]]:
        """Open one transaction: it commits on clean exit, and what was emitted is then published."""
        return self.work_with(self.service.repository, traceparent)

    @asynccontextmanager
    async def work_with(self, repository: Callable[[Sql], T], traceparent: str = "") -> AsyncIterator[UnitOfWork[T]]:
        """`work` with another repository than the service's own."""
        effects = Effects()
        now = self.clock.now()
        async with self.database.transaction() as sql:
            yield UnitOfWork(repository(sql), now, effects, traceparent)
            await save_effects(sql, self.owner, now, effects)
        # After COMMIT only: an event published before it would speak of something that may never have happened.
        self.outbox.add(effects.emitted)
        if effects.timers:
            self.timers.wake(min(due_at for due_at, _ in effects.timers.values()))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[R]:
        """Lend the repository on a connection outside any transaction."""
        async with self.database.connection() as sql:
            yield self.service.repository(sql)

    async def open(self) -> None:
        """Connect to Postgres (waiting for it), make today's partitions, load the live documents."""
        await self.upkeep.open()
        await until_served(self.relay.open)

    async def close(self) -> None:
        """Close every connection."""
        await self.publisher.close()
        await self.relay.close()
        await self.database.close()

    async def is_ready(self) -> tuple[bool, dict[str, str]]:
        """Tell whether the service can do its job, and the state of each part."""
        parts: dict[str, str] = {}
        try:
            async with asyncio.timeout(2), self.database.connection() as sql:
                await sql.fetchval("SELECT 1")
            parts["postgres"] = "ok"
        except Exception as error:  # noqa: BLE001 - whatever it is, we are not ready
            parts["postgres"] = type(error).__name__
        for name, loop in self.loops.items():
            parts[f"consumer {name}"] = loop.paused_for or "ok"
        if self.is_draining:
            parts["shutdown"] = "draining"
        # The door stays open while Kafka is away: what it takes in is durable in Postgres.
        needed = {name: state for name, state in parts.items() if self.name != "ingest" or "consumer" not in name}
        return all(state == "ok" for state in needed.values()), parts
