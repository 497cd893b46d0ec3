"""Schema migrations: alembic, one history per service, each in the service's own schema."""

import asyncio
import importlib
from pathlib import Path

from alembic import command, context, op
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.db import plain_url

# Revision 0001, as it was released: what comes later is a revision of its own.
RUNTIME_DDL = """
CREATE TABLE inbox (
    event_id uuid NOT NULL,
    consumer text NOT NULL,
    emitted bytea,
    processed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, consumer)
) PARTITION BY RANGE (event_id);

-- Rows live for milliseconds: vacuum early, so that the table stays a few pages.
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    owner integer NOT NULL,
    key text NOT NULL,
    event bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000, fillfactor = 100);

CREATE TABLE timer (
    kind text NOT NULL,
    key text NOT NULL,
    due_at timestamptz NOT NULL,
    payload bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    error text,
    PRIMARY KEY (kind, key)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX timer_due ON timer (due_at);

CREATE TABLE parked (
    parked_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    key text NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    time timestamptz NOT NULL,
    payload bytea NOT NULL,
    traceparent text NOT NULL,
    error text NOT NULL,
    parked_at timestamptz NOT NULL,
    UNIQUE (consumer, event_id)
);
CREATE INDEX parked_key ON parked (consumer, key, parked_id);

CREATE TABLE dead_letter (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    headers bytea NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (consumer, topic, partition, "offset")
);

CREATE TABLE audit (
    audit_id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    before jsonb,
    after jsonb,
    why text
);
CREATE INDEX audit_subject ON audit (subject, audit_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE document (
    kind text NOT NULL,
    version integer NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    why text NOT NULL,
    PRIMARY KEY (kind, version)
);
CREATE TRIGGER document_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON document
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE live_document (
    kind text PRIMARY KEY,
    version integer NOT NULL,
    previous_version integer,
    applied_at timestamptz NOT NULL,
    applied_by text NOT NULL,
    why text NOT NULL,
    FOREIGN KEY (kind, version) REFERENCES document
);

-- What a POST with an Idempotency-Key was answered, sealed; null while it runs.
CREATE TABLE idempotency (
    key_id text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, route, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);
"""


# Revision 0002. What each consumer handled last, and in which topic: Kafka forgets offsets together with a deleted
# topic, and the next one of that name counts from zero again.
POSITIONS_DDL = """
CREATE TABLE consumer_position (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    topic_id uuid NOT NULL,
    next_offset bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50);
"""


def create_runtime_tables() -> None:
    """Create the tables the runtime keeps in every service's schema, and `refuse_change()` for append-only tables."""
    _execute(RUNTIME_DDL)


def create_consumer_positions() -> None:
    """Create the runtime's table of consumer positions."""
    _execute(POSITIONS_DDL)


def _execute(ddl: str) -> None:
    for statement in split_statements(ddl):
        op.execute(text(statement.replace(":", r"\:")))


def split_statements(ddl: str) -> list[str]:
    """Split a script at semicolons outside ``$$`` bodies: asyncpg prepares one statement at a time."""
    statements, current, is_inside = [], "", False
    for line in ddl.splitlines():
        if line.strip().startswith("--"):
            continue
        current += line + "\n"
        if line.count("$$") % 2:
            is_inside = not is_inside
        if not is_inside and line.rstrip().endswith(";"):
            statements.append(current.strip().rstrip(";"))
            current = ""
    if current.strip():
        statements.append(current.strip())
    return statements


def migrate(service: str, database_url: str, revision: str = "head") -> None:
    """Bring the schema of *service* to *revision*. Errors: those of alembic and of the database."""
    config = _config(service)
    config.attributes["database_url"] = database_url
    command.upgrade(config, revision)


def take_back(service: str, database_url: str, revision: str) -> None:
    """Bring the schema of *service* back to *revision*, and lose what later ones added. For tests and emergencies."""
    config = _config(service)
    config.attributes["database_url"] = database_url
    command.downgrade(config, revision)


def _config(service: str) -> Config:
    schema = service.replace("-", "_")
    package = importlib.import_module(f"{schema}.migrations")
    assert package.__file__ is not None
    config = Config()
    config.set_main_option("script_location", str(Path(package.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["schema"] = schema
    return config


def run_environment(metadata: MetaData) -> None:
    """Be a service's ``env.py``: run its migrations in its schema, in one transaction."""
    asyncio.run(_run(metadata))


async def _run(metadata: MetaData) -> None:
    attributes = context.config.attributes
    url = plain_url(attributes["database_url"]).replace("postgresql://", "postgresql+asyncpg://", 1)
    settings = {"search_path": f"{attributes['schema']},public", "application_name": "leadrail-migrate"}
    engine = create_async_engine(url, connect_args={"server_settings": settings})
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run_on, metadata, attributes["schema"])
            await connection.commit()
    finally:
        await engine.dispose()


def _run_on(connection: Connection, metadata: MetaData, schema: str) -> None:
    # Two replicas migrating at once: the second waits here and then finds nothing to do.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('leadrail-migrate'))"))
    # While we wait for a table that somebody holds, every writer of it waits behind us: rather fail and be run again.
    connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    context.configure(
        connection=connection, target_metadata=metadata, version_table_schema=schema, transaction_per_migration=False
    )
    with context.begin_transaction():
        context.run_migrations()
