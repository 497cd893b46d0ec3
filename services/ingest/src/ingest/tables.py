"""Ingest's tables. Ids are UUIDv7: they sort by time, and raw submissions are partitioned by the day inside."""

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData()


def _instant(name: str, *, is_nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=is_nullable)


SOURCE = Table(
    "source",
    METADATA,
    Column("source_key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("secrets", JSONB, nullable=False),  # [{secret_id, sealed, created_at, expires_at}], sealed with SecretBox
    Column("defaults", JSONB, nullable=False),
    Column("field_mapping", JSONB, nullable=False),
    Column("allowed_origins", ARRAY(Text), nullable=False),
    Column("honeypot_field", Text, nullable=False),
    Column("is_suspended", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("nextval('source_revision')")),
    _instant("created_at"),
    _instant("updated_at"),
)

SUBMISSION = Table(
    "submission",
    METADATA,
    Column("submission_id", Uuid, primary_key=True),
    Column("source_key", Text, nullable=False),
    Column("source_kind", Text, nullable=False),
    _instant("received_at"),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("record_ids", ARRAY(Uuid), nullable=False),
    postgresql_partition_by="RANGE (submission_id)",
)

RECORD = Table(
    "record",
    METADATA,
    Column("record_id", Uuid, primary_key=True),
    Column("submission_id", Uuid, nullable=False),
    Column("ordinal", SmallInteger, nullable=False),
    Column("source_key", Text, nullable=False),
    Column("nature", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("lead_id", Uuid),
    _instant("received_at"),
    _instant("state_at"),
    Index("record_lead", "lead_id", postgresql_where=text("lead_id IS NOT NULL")),
    Index("record_in_flight", "record_id", postgresql_where=text("state = 'in_flight'")),
    Index("record_quarantined", "record_id", postgresql_where=text("state = 'quarantined'")),
)

IDENTITY = Table(
    "identity",
    METADATA,
    Column("kind", Text, nullable=False),  # email, phone, external
    Column("value", Text, nullable=False),
    Column("lead_id", Uuid, nullable=False),
    Column("has_email", Boolean, nullable=False),
    PrimaryKeyConstraint("kind", "value"),
    Index("identity_lead", "lead_id"),
)

DELIVERY = Table(
    "delivery",
    METADATA,
    Column("source_key", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("submission_id", Uuid, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("record_ids", ARRAY(Uuid), nullable=False),
    PrimaryKeyConstraint("source_key", "key"),
    Index("delivery_submission", "submission_id"),
)

LEAD = Table(
    "lead",
    METADATA,
    Column("lead_id", Uuid, primary_key=True),
    Column("fields", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    _instant("latest_at"),  # receipt of the newest submission merged in
    _instant("enriched_at"),
)

LEDGER_DELTA = Table(
    "ledger_delta",
    METADATA,
    Column("counter", Text, nullable=False),
    Column("n", Integer, nullable=False),
)
