"""Roles, schemas, topics, keys: what must exist before the first service starts. Everything here may run again."""

import asyncio
import base64
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.contracts import TOPICS
from shared.contracts.topics import Topic
from shared.db import ConnectionSql, Sql, plain_url
from shared.kafka import client_options
from shared.migrations import split_statements
from shared.secret_box import SecretBox
from shared.settings import ServiceSettings

LEADER_SECONDS = 20
SERVICES = ("ingest", "scoring", "consent", "routing", "sla-monitor")

_ACCESS_DDL = """
CREATE SCHEMA IF NOT EXISTS access;
CREATE TABLE IF NOT EXISTS access.api_key (
    key_id text PRIMARY KEY,
    client text NOT NULL,
    secret_sha256 bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX IF NOT EXISTS api_key_client ON access.api_key (client);
CREATE TABLE IF NOT EXISTS access.audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail text
);
"""


def schema_of(service: str) -> str:
    """Return the Postgres schema (and import name) of *service*."""
    return service.replace("-", "_")


def role_of(service: str, database: str) -> str:
    """Return the role of *service*. Roles are per server, so the database is part of the name."""
    return f"{database}_{schema_of(service)}"


def role_url(admin_url: str, service: str, secret_key: str) -> str:
    """Return the URL with which *service* connects: its own role, its password derived from ``LEADRAIL_SECRET_KEY``."""
    parts = urlsplit(plain_url(admin_url))
    database = parts.path.lstrip("/")
    user = quote(role_of(service, database), safe="")
    host = parts.netloc.rsplit("@", 1)[-1]
    return urlunsplit(parts._replace(netloc=f"{user}:{_password(database, service, secret_key)}@{host}"))


def _password(database: str, service: str, secret_key: str) -> str:
    derived = SecretBox(secret_key).derive(f"role:{database}:{service}")
    return base64.urlsafe_b64encode(derived).decode().rstrip("=")


async def provision_database(admin_url: str, secret_key: str, services: Sequence[str] = SERVICES) -> None:
    """Create each service's role and schema, and the table of API keys. Needs a role that may create roles."""
    connection = await asyncpg.connect(plain_url(admin_url))
    try:
        database = await connection.fetchval("SELECT current_database()")
        sql = ConnectionSql(connection)
        async with connection.transaction():
            await sql.execute("SELECT pg_advisory_xact_lock(hashtext('leadrail-provision'))")
            for statement in split_statements(_ACCESS_DDL):
                await sql.execute(statement)
            await sql.execute(
                f'REVOKE CREATE ON SCHEMA public FROM PUBLIC; REVOKE ALL ON DATABASE "{database}" FROM PUBLIC'
            )
            for service in services:
                await _provision_service(sql, database, service, _password(database, service, secret_key))
    finally:
        await connection.close()


async def _provision_service(sql: Sql, database: str, service: str, password: str) -> None:
    role, schema = role_of(service, database), schema_of(service)
    if not await sql.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
        await sql.execute(f'CREATE ROLE "{role}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE')
    # The password is base64url: it cannot hold a quote.
    await sql.execute(f"ALTER ROLE \"{role}\" PASSWORD '{password}'")
    await sql.execute(f'GRANT CONNECT ON DATABASE "{database}" TO "{role}"')
    await sql.execute(f'GRANT "{role}" TO CURRENT_USER')
    await sql.execute(f'CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION "{role}"')
    await sql.execute(f'GRANT USAGE ON SCHEMA access TO "{role}"')
    await sql.execute(f'GRANT SELECT, UPDATE (last_used_at) ON access.api_key TO "{role}"')


def topic_options(topic: Topic) -> dict[str, str]:
    """Return the broker's settings of *topic*.

    A segment is deleted as a whole, once its newest record is too old. With the default of seven days per segment a
    quiet topic would keep events for fourteen: longer than the inbox remembers them, and than we may keep them.
    """
    return {
        "retention.ms": str(int(topic.retention / timedelta(milliseconds=1))),
        "segment.ms": str(int(min(timedelta(days=1), topic.retention) / timedelta(milliseconds=1))),
    }


async def create_topics(settings: ServiceSettings, *, replication: int = 1, partitions: int | None = None) -> list[str]:
    """Create the registry's topics that are missing; return their names. Errors: those of the broker."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        wanted = [
            NewTopic(
                settings.kafka_topic_prefix + topic.name,
                num_partitions=partitions or topic.partitions,
                replication_factor=replication,
                topic_configs=topic_options(topic),
            )
            for topic in TOPICS
        ]
        present = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic.name not in present]
        if missing:
            response = await admin.create_topics(missing)
            for _name, code, *_rest in response.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)
            await _wait_for_leaders(admin, [topic.name for topic in missing])
        return [topic.name for topic in missing]
    finally:
        await admin.close()


async def _wait_for_leaders(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Return when every partition has a leader: until then a producer is answered NotLeader."""
    async with asyncio.timeout(LEADER_SECONDS):
        while True:
            described = await admin.describe_topics(names)
            if all(
                topic["error_code"] == 0 and topic["partitions"] and all(p["leader"] >= 0 for p in topic["partitions"])
                for topic in described
            ):
                return
            await asyncio.sleep(0.05)
