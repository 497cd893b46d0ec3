"""The tables of consent. No schema is named: the search path is the service's own."""

from sqlalchemy import ARRAY, Boolean, Column, DateTime, Index, LargeBinary, MetaData, Table, Text, Uuid

METADATA = MetaData()

consent_event = Table(
    "consent_event",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("record_id", Text, primary_key=True, comment="the same for every delivery of one statement"),
    Column("state", Text, nullable=False, comment="given, refused, withdrawn, objected, inquiry, purchase, expired"),
    Column("purposes", ARRAY(Text), nullable=False),
    Column("channels", ARRAY(Text), nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Column("method", Text, nullable=False),
    Column("lawful_basis", Text, nullable=False),
    Column("notice_version", Text),
    Column("text_shown", Text),
    Column("is_double_opt_in", Boolean, nullable=False),
    Column("actor", Text, nullable=False, comment="source:<key>, client:<id> or leadrail"),
    comment="the ledger (ISO/IEC TS 27560 events), append-only",
)

lead_consent = Table(
    "lead_consent",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("standing", LargeBinary, nullable=False, comment="everything said, folded (msgpack)"),
    Column("scored", LargeBinary, comment="the latest LeadScored (JSON); null: the lead is not known yet"),
    Column("decision_id", Uuid(as_uuid=False)),
    Column("is_cleared", Boolean, nullable=False),
    comment="what decides about one lead, as of now",
)

consent_decision = Table(
    "consent_decision",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("decision_id", Uuid(as_uuid=False), primary_key=True),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("table_version", Text, nullable=False),
    Column(
        "decision", LargeBinary, nullable=False, comment="inputs, answer per channel, everything considered (msgpack)"
    ),
    comment="every decision, append-only: it can be made again from its own row",
)

lead_address = Table(
    "lead_address",
    METADATA,
    Column("address_hash", LargeBinary, primary_key=True, comment="HMAC-SHA256 with the pepper"),
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    comment="whose address it is: a question about an address finds what its person said",
)

suppression = Table(
    "suppression",
    METADATA,
    Column("address_hash", LargeBinary, primary_key=True, comment="HMAC-SHA256 with the pepper"),
    Column("channels", ARRAY(Text), nullable=False),
    Column("reason", Text, nullable=False),
    Column("added_at", DateTime(timezone=True), nullable=False),
    Column("added_by", Text, nullable=False),
    Index("suppression_by_time", "added_at", "address_hash"),
    comment="addresses that must never be used again on these channels; survives erasure",
)
