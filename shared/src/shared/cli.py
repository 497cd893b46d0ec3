"""The ``leadrail`` command: what an operator does before and around the services."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated

import asyncpg
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from shared import access
from shared.clock import SystemClock
from shared.consumers_cli import consumers
from shared.contracts import TOPICS
from shared.db import ConnectionSql, plain_url
from shared.migrations import migrate
from shared.model_cli import model
from shared.parking_cli import parked
from shared.provision import SERVICES, create_topics, provision_database, role_url
from shared.settings import ServiceSettings

app = typer.Typer(no_args_is_help=True, help="Leadrail: provision databases and topics, manage API keys.")
db = typer.Typer(no_args_is_help=True, help="PostgreSQL: roles, schemas, migrations.")
topics = typer.Typer(no_args_is_help=True, help="Kafka topics of the registry.")
keys = typer.Typer(no_args_is_help=True, help="API keys: shown once, stored as a hash.")
app.add_typer(db, name="db")
app.add_typer(topics, name="topics")
app.add_typer(keys, name="keys")
app.add_typer(consumers, name="consumers")
app.add_typer(parked, name="parked")
app.add_typer(model, name="model")

DatabaseUrl = Annotated[
    str, typer.Option("--database-url", envvar="DATABASE_URL", help="URL of a role that may create roles and schemas.")
]
SecretKey = Annotated[
    str,
    typer.Option("--secret-key", envvar="LEADRAIL_SECRET_KEY", help="At least 32 characters; seals secrets at rest."),
]
console = Console()


@db.command("provision")
def provision(database_url: DatabaseUrl, secret_key: SecretKey) -> None:
    """Create each service's role and schema, and the table of API keys. May run again."""
    asyncio.run(provision_database(database_url, secret_key))
    console.print(f"provisioned {', '.join(SERVICES)}")


@db.command("migrate")
def migrate_services(
    database_url: DatabaseUrl,
    secret_key: SecretKey,
    service: Annotated[list[str] | None, typer.Option(help="Only these services.")] = None,
) -> None:
    """Bring every service's schema to the newest revision, each with the service's own role."""
    for name in service or SERVICES:
        migrate(name, role_url(database_url, name, secret_key))
        console.print(f"migrated {name}")


@topics.command("create")
def create(
    replication: Annotated[int, typer.Option(help="Copies of each partition.")] = 1,
    partitions: Annotated[int | None, typer.Option(help="Instead of the registry's count; the same for all.")] = None,
) -> None:
    """Create the topics that are missing (KAFKA_BOOTSTRAP_SERVERS says where)."""
    created = asyncio.run(create_topics(_settings(), replication=replication, partitions=partitions))
    console.print(f"created {', '.join(created)}" if created else "every topic exists")


@topics.command("list")
def list_topics() -> None:
    """Show the registry."""
    table = Table("topic", "partitions", "kept", "producers", "consumers")
    for topic in TOPICS:
        table.add_row(
            topic.name,
            str(topic.partitions),
            f"{topic.retention.days} d",
            ", ".join(topic.producers),
            ", ".join(topic.consumers),
        )
    console.print(table)


@keys.command("create")
def create_key(
    database_url: DatabaseUrl,
    client: Annotated[str, typer.Option(help="Who will use the key; shows in the audit.")],
    scope: Annotated[list[str], typer.Option(help=f"One or more of {', '.join(access.SCOPES)}.")],
    days: Annotated[int | None, typer.Option(help="Days until it expires; never by default.")] = None,
) -> None:
    """Create a key and print it. It cannot be shown again."""
    now = SystemClock().now()
    expires_at = now + timedelta(days=days) if days else None
    try:
        key = asyncio.run(_create(database_url, client, scope, expires_at))
    except (access.TooManyKeys, access.UnknownScope) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(key)


@keys.command("list")
def list_keys(database_url: DatabaseUrl) -> None:
    """Show keys: client, scopes, when created, used, expired, revoked."""
    table = Table("key id", "client", "scopes", "created", "last used", "expires", "revoked")
    for row in asyncio.run(_list(database_url)):
        table.add_row(
            row["key_id"], row["client"], ", ".join(row["scopes"]), *(_instant(row[name]) for name in _INSTANTS)
        )
    console.print(table)


@keys.command("revoke")
def revoke_key(
    database_url: DatabaseUrl, key_id: Annotated[str, typer.Argument(help="As `keys list` shows it.")]
) -> None:
    """Revoke a key, effective with the next request."""
    if not asyncio.run(_revoke(database_url, key_id)):
        console.print(f"no active key {key_id}")
        raise typer.Exit(1)
    console.print(f"revoked {key_id}")


_INSTANTS = ("created_at", "last_used_at", "expires_at", "revoked_at")


def _instant(value: object) -> str:
    return "" if value is None else f"{value:%Y-%m-%d %H:%M}"


def _settings() -> ServiceSettings:
    return ServiceSettings(database_url=SecretStr(""))


async def _create(url: str, client: str, scopes: list[str], expires_at: datetime | None) -> str:
    connection = await asyncpg.connect(plain_url(url))
    try:
        async with connection.transaction():
            return await access.create_key(
                ConnectionSql(connection), client=client, scopes=scopes, now=SystemClock().now(), expires_at=expires_at
            )
    finally:
        await connection.close()


async def _list(url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(plain_url(url))
    try:
        return await connection.fetch("SELECT * FROM access.api_key ORDER BY created_at")
    finally:
        await connection.close()


async def _revoke(url: str, key_id: str) -> bool:
    connection = await asyncpg.connect(plain_url(url))
    try:
        async with connection.transaction():
            return await access.revoke_key(ConnectionSql(connection), key_id=key_id, now=SystemClock().now())
    finally:
        await connection.close()


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
