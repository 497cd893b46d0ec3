"""Each service's schema at any of its revisions, in a database of its own, with the rows of real work in it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

import consent.__main__
import ingest.__main__
import routing.__main__
import scoring.__main__
import sla_monitor.__main__
from consent.settings import ConsentSettings
from ingest.settings import IngestSettings
from local_stack.blocking import run_blocking
from routing.settings import RoutingSettings
from scoring.settings import ScoringSettings
from shared.contracts import Event
from shared.migrations import migrate, take_back
from shared.provision import provision_database, role_url, schema_of
from shared.testing import ServiceHarness
from shared.testing.builders import (
    make_activity,
    make_assigned,
    make_captured,
    make_cleared,
    make_enriched,
    make_scored,
)
from shared.testing.harness import SECRET_KEY
from sla_monitor.settings import SlaMonitorSettings


@dataclass(frozen=True)
class Subject:
    """A service and events that fill its tables, each list handled as one batch."""

    name: str
    build: Callable[[Any], Any]
    settings: type[Any]
    work: tuple[tuple[str, tuple[Event, ...]], ...]

    @property
    def schema(self) -> str:
        return schema_of(self.name)


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("ingest", ingest.__main__.build_service, IngestSettings, (("ingest-enrich", (make_captured(),)),)),
        Subject(
            "scoring",
            scoring.__main__.build_service,
            ScoringSettings,
            (("scoring", (make_enriched("0199b5d0-0000-7000-8000-000000000001"),)), ("scoring", (make_activity(),))),
        ),
        Subject("consent", consent.__main__.build_service, ConsentSettings, (("consent", (make_scored(),)),)),
        Subject("routing", routing.__main__.build_service, RoutingSettings, (("routing", (make_cleared(),)),)),
        Subject(
            "sla-monitor",
            sla_monitor.__main__.build_service,
            SlaMonitorSettings,
            (("sla-monitor", (make_captured(), make_assigned())),),
        ),
    )
}


@dataclass(frozen=True)
class Place:
    """A database with the schema of one service. ``url`` is a superuser's, ``own_url`` the service's."""

    subject: Subject
    url: str

    @property
    def own_url(self) -> str:
        return role_url(self.url, self.subject.name, SECRET_KEY)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.url, server_settings={"search_path": self.subject.schema})
        try:
            yield connection
        finally:
            await connection.close()

    async def upgrade(self, revision: str = "head") -> None:
        await asyncio.to_thread(migrate, self.subject.name, self.own_url, revision)

    async def downgrade(self, revision: str) -> None:
        await asyncio.to_thread(take_back, self.subject.name, self.own_url, revision)


Provide = Callable[[str], Place]


@pytest.fixture(scope="module")
def provide(create_database: Callable[..., str]) -> Provide:
    """Return a function that gives a service its schema, without any table, in a database that all services share."""
    url = create_database()
    run_blocking(provision_database(url, SECRET_KEY))
    return lambda name: Place(SUBJECTS[name], url)


@pytest.fixture(scope="module")
def provide_newest(create_database: Callable[..., str]) -> Provide:
    """Return a function that gives a service its schema at the newest revision, in a database that all share."""
    url = create_database()
    run_blocking(provision_database(url, SECRET_KEY))

    def make(name: str) -> Place:
        place = Place(SUBJECTS[name], url)
        migrate(name, place.own_url)
        return place

    return make


@pytest.fixture(scope="module")
def worked_database(create_database: Callable[..., str]) -> str:
    """Return the URL of a database for services that do real work."""
    return create_database()


async def work(name: str, database_url: str) -> Place:
    """Have the service handle events in *database_url*, at the newest revision."""
    place = Place(SUBJECTS[name], database_url)
    async with ServiceHarness.start(place.subject.build, place.subject.settings, place.url) as harness:
        for consumer, events in place.subject.work:
            await harness.feed(*events, consumer=consumer)
    return place


async def read_rows(place: Place, columns: Mapping[str, Mapping[str, Any]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of each table, of *columns* only, in an order of their own."""
    async with place.connected() as connection:
        return {
            table: sorted((tuple(row) for row in await connection.fetch(_select(table, names))), key=repr)
            for table, names in columns.items()
        }


async def copy_rows(source: Place, target: Place, columns: Mapping[str, Mapping[str, Any]]) -> None:
    """Insert the rows of *source* into *target*, naming exactly *columns*, as code that knows no others would."""
    async with source.connected() as old, target.connected() as new:
        for table in await _by_dependency(old, set(columns)):
            await _copy_partitions(old, new, table)
            if await new.fetch(_select(table, columns[table])):  # what the migration put there
                await new.execute(f'DELETE FROM "{table}"')  # noqa: S608 - a name from the catalog
            rows = [tuple(row) for row in await old.fetch(_select(table, columns[table]))]
            places = ", ".join(f"${number}" for number in range(1, len(columns[table]) + 1))
            named = f'"{table}" ({_list(columns[table])})'
            await new.executemany(f"INSERT INTO {named} OVERRIDING SYSTEM VALUE VALUES ({places})", rows)  # noqa: S608 - the same


async def _by_dependency(connection: asyncpg.Connection, tables: set[str]) -> list[str]:
    references = await connection.fetch(
        "SELECT conrelid::regclass::text AS child, confrelid::regclass::text AS parent"
        " FROM pg_constraint WHERE contype = 'f' AND conrelid <> confrelid"
    )
    ordered: list[str] = []
    while len(ordered) < len(tables):
        ordered += sorted(
            table
            for table in tables - set(ordered)
            if all(r["parent"] in ordered for r in references if r["child"] == table and r["parent"] in tables)
        )
    return ordered


async def _copy_partitions(old: asyncpg.Connection, new: asyncpg.Connection, table: str) -> None:
    rows = await old.fetch(
        "SELECT relname, pg_get_expr(relpartbound, pg_class.oid) AS bounds FROM pg_inherits"
        " JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = $1::regclass",
        table,
    )
    for row in rows:
        await new.execute(f'CREATE TABLE "{row["relname"]}" PARTITION OF "{table}" {row["bounds"]}')


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _select(table: str, names: Mapping[str, Any]) -> str:
    return f'SELECT {_list(names)} FROM "{table}"'  # noqa: S608 - names from the catalog
