"""Real servers for the tests that need them: one PostgreSQL and one Kafka for all parallel workers."""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from local_stack.blocking import run_blocking
from local_stack.lease import ServerUrls, keeping_servers, leased_servers

SHARED_SERVERS = Path(__file__).parents[1] / ".local" / "tests"
_session = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Keep servers that one worker started until the whole run ends, whichever worker ends first."""
    if not hasattr(config, "workerinput"):
        _session.enter_context(keeping_servers(SHARED_SERVERS))


def pytest_unconfigure() -> None:
    """Let the servers stop."""
    _session.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerUrls]:
    """Yield the URLs of real servers, shared by all tests: make databases and topics of your own on them."""
    with leased_servers(SHARED_SERVERS) as urls:
        yield urls


@pytest.fixture(scope="session")
def kafka_bootstrap_servers(servers: ServerUrls) -> str:
    """Return host and port of the real broker."""
    return servers.kafka_bootstrap_servers


@pytest.fixture(scope="module")
def create_database(servers: ServerUrls) -> Iterator[Callable[..., str]]:
    """Yield a function that makes a database, a copy of *template* if given, and returns its superuser URL.

    All are dropped after the module.
    """
    names: list[str] = []

    def create(template: str | None = None) -> str:
        name = f"test_{secrets.token_hex(6)}"
        names.append(name)
        source = template.rpartition("/")[2] if template else "template1"
        # FILE_COPY would force a checkpoint of everything other tests wrote; the log is short for our small databases.
        _execute(servers.database_url, f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY wal_log')
        return re.sub(r"/[^/]*$", f"/{name}", servers.database_url)

    yield create
    for name in reversed(names):
        run_blocking(_drop_database(servers.database_url, name))


@pytest.fixture(scope="module")
def database_url(create_database: Callable[..., str]) -> str:
    """Return the superuser URL of an empty database that belongs to this test module."""
    return create_database()


@pytest.fixture(scope="module")
def topic_prefix(kafka_bootstrap_servers: str) -> Iterator[str]:
    """Yield a prefix for the topics and groups of this test module; its topics are deleted afterwards."""
    prefix = f"t{secrets.token_hex(4)}."
    yield prefix
    run_blocking(_delete_topics(kafka_bootstrap_servers, prefix))


@pytest.fixture(scope="module")
def service_environment(database_url: str, kafka_bootstrap_servers: str, topic_prefix: str) -> dict[str, str]:
    """Return the environment of services whose roles, tables and topics exist, in this module's database and topics."""
    # Imported late: the services' migrations take a second that unit tests need not wait for.
    from local_stack.provision import provision_servers  # noqa: PLC0415

    return provision_servers(
        database_url, kafka_bootstrap_servers, secret_key=secrets.token_urlsafe(32), topic_prefix=topic_prefix
    )


def _execute(database_url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    run_blocking(run())


async def _drop_database(database_url: str, name: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        # Roles belong to the server and not to the database; the services' are called after it.
        for role in await connection.fetch("SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)", f"{name}_"):
            await connection.execute(f'DROP ROLE "{role["rolname"]}"')
    finally:
        await connection.close()


async def _delete_topics(bootstrap_servers: str, prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        if topics := [topic for topic in await admin.list_topics() if topic.startswith(prefix)]:
            await admin.delete_topics(topics)
    finally:
        await admin.close()
