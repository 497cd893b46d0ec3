"""A service's role opens its own schema and no other: a hole in one service is not a hole in all."""

from itertools import permutations

import asyncpg
import pytest

SCHEMAS = ("ingest", "scoring", "consent", "routing", "sla_monitor")


def role_url(environment: dict[str, str], schema: str) -> str:
    return environment[f"{schema.upper()}_DATABASE_URL"]


async def tables_of(database_url: str, schema: str) -> list[str]:
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    finally:
        await connection.close()
    return [row["tablename"] for row in rows]


async def refused(connection: asyncpg.Connection, statement: str) -> bool:
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


@pytest.mark.parametrize(("schema", "foreign"), list(permutations(SCHEMAS, 2)))
async def test_role_can_neither_read_nor_write_another_services_tables(
    database_url: str, service_environment: dict[str, str], schema: str, foreign: str
) -> None:
    tables = await tables_of(database_url, foreign)
    assert {"inbox", "outbox", "audit"} < set(tables)
    connection = await asyncpg.connect(role_url(service_environment, schema))
    try:
        allowed = [
            statement
            for table in tables
            for statement in (
                f"SELECT count(*) FROM {foreign}.{table}",  # noqa: S608 - names from the catalogue
                f"INSERT INTO {foreign}.{table} SELECT * FROM {foreign}.{table}",  # noqa: S608 - same
                f"DELETE FROM {foreign}.{table}",  # noqa: S608 - same
                f"TRUNCATE {foreign}.{table}",
            )
            if not await refused(connection, statement)
        ]
        allowed += [] if await refused(connection, f"CREATE TABLE {foreign}.planted (x int)") else ["CREATE TABLE"]
    finally:
        await connection.close()
    assert allowed == []


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_role_reads_its_own_tables_and_cannot_give_itself_rights(
    database_url: str, service_environment: dict[str, str], schema: str
) -> None:
    connection = await asyncpg.connect(role_url(service_environment, schema))
    try:
        for table in await tables_of(database_url, schema):
            await connection.fetch(f"SELECT * FROM {schema}.{table}")  # noqa: S608 - names from the catalogue
        assert await connection.fetchval("SELECT count(*) FROM access.api_key") == 0
        forbidden = [
            "INSERT INTO access.api_key VALUES ('x', 'x', '', '{admin}', now())",
            "UPDATE access.api_key SET scopes = '{admin}'",
            "DELETE FROM access.api_key",
            "SELECT count(*) FROM access.audit",
            "CREATE TABLE public.planted (x int)",
            "CREATE SCHEMA planted",
            "CREATE ROLE planted",
            "COPY (SELECT 1) TO PROGRAM 'true'",
        ]
        allowed = [statement for statement in forbidden if not await refused(connection, statement)]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"UPDATE {schema}.audit SET why = 'nothing happened'")  # noqa: S608 - ours
    finally:
        await connection.close()
    assert allowed == []
