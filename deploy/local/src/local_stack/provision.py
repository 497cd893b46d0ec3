"""What must exist before a service starts: roles, schemas, topics, keys. The product's own steps, in its own order."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from local_stack.blocking import run_blocking
from local_stack.services import SERVICES
from local_stack.stack import Servers
from shared.migrations import migrate
from shared.provision import create_topics, provision_database, role_url
from shared.settings import ServiceSettings

LOCAL_PARTITIONS = 3


def provision(data_dir: Path, servers: Servers) -> dict[str, str]:
    """Do what `leadrail db provision`, `db migrate` and `topics create` do; return the environment services need.

    Each step may be repeated on what exists already.
    """
    secret_key = os.environ.get("LEADRAIL_SECRET_KEY") or kept_secret(data_dir, "secret-key")
    return provision_servers(
        servers.database_url,
        servers.kafka_bootstrap_servers,
        secret_key=secret_key,
        topic_prefix=os.environ.get("KAFKA_TOPIC_PREFIX", ""),
    )


def provision_servers(
    database_url: str, kafka_bootstrap_servers: str, *, secret_key: str, topic_prefix: str
) -> dict[str, str]:
    """Create roles, schemas, tables and topics, bring what exists to the newest version; return as `provision` does."""
    run_blocking(provision_database(database_url, secret_key))
    for service in SERVICES:
        migrate(service.name, role_url(database_url, service.name, secret_key))
    run_blocking(
        create_topics(
            ServiceSettings(
                database_url=SecretStr(""),
                kafka_bootstrap_servers=kafka_bootstrap_servers,
                kafka_topic_prefix=topic_prefix,
            ),
            partitions=LOCAL_PARTITIONS,
        )
    )
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "LEADRAIL_SECRET_KEY": secret_key,
        **{f"{one.prefix}DATABASE_URL": role_url(database_url, one.name, secret_key) for one in SERVICES},
    }


def kept_secret(data_dir: Path, name: str) -> str:
    """Return the secret *name* of this data folder, made on first use, readable by its owner only."""
    file = data_dir / name
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as made:
            made.write(secrets.token_urlsafe(32))
    return file.read_text("ascii")
