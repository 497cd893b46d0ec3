"""What must be looked after while a service runs: live documents, the parking lot, day partitions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from shared.clock import Clock
from shared.db import Database, Sql
from shared.documents import DocumentInvalid, DocumentStore
from shared.runtime import metrics
from shared.runtime.failures import is_dependency_failure
from shared.runtime.inbox import TABLE as INBOX
from shared.runtime.partitions import days_around, drop_days_before, ensure_days
from shared.schema_version import check_schema
from shared.waiting import until_set

log = structlog.get_logger(module=__name__)

REFRESH_SECONDS = 1.0
OPEN_EVERY_SECONDS = 0.5
INBOX_KEPT = timedelta(days=9)  # topics keep 7 days; the inbox must outlive them, or a rewind decides twice
PARTITIONS_EVERY = timedelta(hours=1)


async def until_served(step: Callable[[], Awaitable[object]]) -> None:
    """Do *step*, which may be repeated, until the database serves it: a service must not end because it is away."""
    attempt = 0
    while True:
        try:
            await step()
        except Exception as error:
            if not is_dependency_failure(error):
                raise
            attempt += 1
            if attempt % 10 == 1:
                log.warning("database_away", error=type(error).__name__)
            await asyncio.sleep(OPEN_EVERY_SECONDS)
        else:
            return


class Upkeep:
    """Refreshes live documents and counts parked leads each second; makes and drops day partitions each hour."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        documents: Sequence[DocumentStore[Any]],
        partitioned_tables: Mapping[str, timedelta],
        consumers: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._documents = documents
        self._tables = {INBOX: INBOX_KEPT, **partitioned_tables}
        self._consumers = consumers
        self._partitions_at: datetime | None = None
        self._refused: dict[str, str] = {}
        self._stopping = asyncio.Event()

    async def open(self) -> None:
        """Connect and do everything once, as often as the database is away or busy. Errors: `SchemaTooOld`."""
        await until_served(self._database.open)
        await until_served(self._begin)

    async def _begin(self) -> None:
        async with self._database.connection() as sql:
            await check_schema(sql, self._database.schema)
        await self._keep_partitions()
        for document in self._documents:
            await document.open(self._database, self._clock.now())

    async def run(self) -> None:
        """Repeat until `drain`."""
        while not self._stopping.is_set():
            await until_set(self._stopping, REFRESH_SECONDS)
            try:
                await self.run_once()
            except Exception as error:
                if not is_dependency_failure(error):
                    raise

    async def drain(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def run_once(self) -> None:
        """Refresh documents; count parked leads; look after partitions when an hour has passed."""
        if self._documents or self._consumers:
            async with self._database.connection() as sql:
                for document in self._documents:
                    await self._refresh(document, sql)
                await self._count_parked(sql)
        if self._partitions_at is None or self._clock.now() - self._partitions_at >= PARTITIONS_EVERY:
            await self._keep_partitions()

    async def _refresh(self, document: DocumentStore[Any], sql: Sql) -> None:
        """A newer release may have applied what this one cannot read: go on with the version before, and say so."""
        try:
            await document.refresh(sql)
        except DocumentInvalid as error:
            if self._refused.get(document.kind) != str(error):
                log.error("document_not_readable", kind=document.kind, kept_version=document.live.version)  # noqa: TRY400 - once, without a stack
            self._refused[document.kind] = str(error)

    async def _count_parked(self, sql: Sql) -> None:
        rows = await sql.fetch("SELECT consumer, count(DISTINCT key) AS keys FROM parked GROUP BY consumer")
        keys = {row["consumer"]: row["keys"] for row in rows}
        for consumer in self._consumers:
            metrics.PARKED_KEYS.labels(consumer).set(keys.get(consumer, 0))

    async def _keep_partitions(self) -> None:
        now = self._clock.now()
        for table, kept in self._tables.items():
            async with self._database.transaction() as sql:
                await ensure_days(sql, table, days_around(now))
                dropped = await drop_days_before(sql, table, now - kept)
            if dropped:
                log.info("partitions_dropped", table=table, partitions=len(dropped))
        self._partitions_at = now
