"""A database that is ill for a while: every write may wait or fail, as rows of ``chaos.illness`` say.

The triggers are made once, before the load: an illness then begins and ends with one row, and locks no table.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import asyncpg

SCHEMAS = ("ingest", "scoring", "consent", "routing", "sla_monitor")
DISK_FULL = "53100"
DEADLOCK = "40P01"
SERIALIZATION = "40001"
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 0.1

_PLANT = """
    CREATE SCHEMA chaos;
    CREATE TABLE chaos.illness (
        illness_id bigint PRIMARY KEY, schemas text[] NOT NULL, probability float8 NOT NULL,
        sqlstate text, seconds float8 NOT NULL, trap int
    );
    CREATE FUNCTION chaos.disturb() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE
        ill record;
    BEGIN
        FOR ill IN SELECT * FROM chaos.illness WHERE TG_TABLE_SCHEMA = ANY(schemas) AND random() < probability LOOP
            PERFORM pg_sleep(ill.seconds);
            IF ill.trap IS NOT NULL THEN
                PERFORM pg_advisory_xact_lock(ill.trap, 1), pg_advisory_xact_lock(ill.trap, 2);
            END IF;
            IF ill.sqlstate IS NOT NULL THEN
                RAISE EXCEPTION USING ERRCODE = ill.sqlstate, MESSAGE = 'planted';
            END IF;
        END LOOP;
        RETURN NULL;
    END $$;
"""
# Partitions are reached through their parents.
_TABLES = """
    SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY($1) AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'
"""
_TRIGGER = """
    CREATE TRIGGER chaos BEFORE INSERT OR UPDATE OR DELETE ON {} FOR EACH STATEMENT EXECUTE FUNCTION chaos.disturb()
"""
AWAY = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError,
         asyncpg.InternalClientError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError,
         asyncpg.TooManyConnectionsError, TimeoutError)  # fmt: skip
_numbers = count(1)


async def plant_triggers(database_url: str) -> None:
    """Make what an illness needs. Errors: those of asyncpg."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_PLANT)
        for row in await connection.fetch(_TABLES, list(SCHEMAS)):
            await connection.execute(_TRIGGER.format(row[0]))
    finally:
        await connection.close()


@asynccontextmanager
async def ill_database(
    database_url: str,
    schemas: tuple[str, ...],
    probability: float,
    sqlstate: str | None = None,
    seconds: float = 0.0,
    trap: int | None = None,
) -> AsyncIterator[None]:
    """Let each write to *schemas* wait for *seconds*, and fail if there is a *sqlstate*, with *probability*.

    With a *trap*, each takes the advisory locks (trap, 1) and (trap, 2) first, in this order: who holds the second and
    asks for the first makes a deadlock.
    """
    number = next(_numbers)
    await ask(
        database_url,
        "INSERT INTO chaos.illness VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        number, list(schemas), probability, sqlstate, seconds, trap,
    )  # fmt: skip
    try:
        yield
    finally:
        await ask(database_url, "DELETE FROM chaos.illness WHERE illness_id = $1", number)


async def ask(database_url: str, query: str, *args: Any) -> list[Any]:
    """Return what the superuser reads. A server that is away is waited for, a minute long, then its error is raised."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            connection = await asyncpg.connect(database_url, timeout=5)
            try:
                return list(await connection.fetch(query, *args))
            finally:
                with contextlib.suppress(*AWAY):
                    await connection.close(timeout=5)
        except AWAY:
            if loop.time() > deadline:
                raise
        await asyncio.sleep(RETRY_SECONDS)
