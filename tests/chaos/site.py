"""Where chaos happens: servers of its own, which it may kill, and an installation on them."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from tests.e2e.installation import Installation, running_installation
from tests.e2e.traffic import Traffic

from local_stack.blocking import run_blocking
from local_stack.children import Child
from local_stack.kafka import Kafka
from local_stack.postgres import Postgres
from local_stack.provision import provision_servers
from local_stack.services import SERVICES, start_service
from local_stack.stack import Servers, running_servers
from shared.failpoints import VARIABLE

from .illness import plant_triggers


class Site:
    """One installation on servers that may be killed."""

    def __init__(self, installation: Installation, traffic: Traffic, postgres: Postgres, kafka: Kafka) -> None:
        self.installation = installation
        self.traffic = traffic
        self.postgres = postgres
        self.kafka = kafka

    @property
    def database_url(self) -> str:
        """Return the superuser's URL of this site's database."""
        return self.installation.database_url

    def child(self, service: str) -> Child:
        """Return the process of *service* that answers at its port."""
        return self.installation.services[service].child

    def start(self, name: str, failpoints: str = "") -> None:
        """Start a service, armed if *failpoints* says so. Main thread only: children end with their thread."""
        [service] = [one for one in SERVICES if one.name == name]
        self.installation.services[name] = start_service(
            service,
            port=self.installation.ports[name],
            environment=self.installation.environment | ({VARIABLE: failpoints} if failpoints else {}),
            logs=self.installation.logs,
        )


@contextmanager
def own_servers(folder: Path) -> Iterator[Servers]:
    """Yield a PostgreSQL and a Kafka that nobody else uses; their data is forgotten at the end."""
    with running_servers(folder, fsync=os.environ.get("LEADRAIL_PG_FSYNC") != "off", own=True) as servers:
        yield servers
    if servers.postgres:
        servers.postgres.forget()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_site(folder: Path, servers: Servers) -> Iterator[Site]:
    """Yield an installation in a database and topics of its own; the database is dropped at the end."""
    assert servers.postgres is not None
    assert servers.kafka is not None
    name = f"chaos_{secrets.token_hex(6)}"
    run_blocking(_execute(servers.database_url, f'CREATE DATABASE "{name}"'))
    database_url = re.sub(r"/[^/]*$", f"/{name}", servers.database_url)
    environment = provision_servers(
        database_url,
        servers.kafka_bootstrap_servers,
        secret_key=secrets.token_urlsafe(32),
        topic_prefix=f"c{secrets.token_hex(4)}.",
    )
    run_blocking(plant_triggers(database_url))
    folder.mkdir(parents=True, exist_ok=True)
    with running_installation(folder, database_url, environment) as installation:
        yield Site(installation, Traffic(installation), servers.postgres, servers.kafka)
    run_blocking(_execute(servers.database_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def _execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
