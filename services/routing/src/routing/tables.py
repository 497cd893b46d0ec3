"""The tables of the routing service, in its own schema."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

METADATA = MetaData()
Instant = DateTime(timezone=True)
Id = UUID(as_uuid=False)

rep = Table(
    "rep",
    METADATA,
    Column("rep_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("team", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("working_hours", JSONB),
    Column("time_off", JSONB, nullable=False),
    Column("max_open", Integer),
    Column("max_per_day", Integer),
    Column("is_paused", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("removed_at", Instant),
)

# One row: its number grows with every change of a rep, so that a process knows when its copy of the reps is old.
roster_version = Table(
    "roster_version",
    METADATA,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    Column("version", BigInteger, nullable=False),
)

# Counters are apart from the reps: they change with every batch, and no index covers what changes (HOT updates).
rep_load = Table(
    "rep_load",
    METADATA,
    Column("rep_id", Text, ForeignKey("rep.rep_id"), primary_key=True),
    Column("open_leads", Integer, nullable=False, server_default=text("0")),
    Column("day", Date),
    Column("given", Integer, nullable=False, server_default=text("0")),
)
pool_member = Table(
    "pool_member",
    METADATA,
    Column("pool_id", Text, primary_key=True),
    Column("rep_id", Text, primary_key=True),
    Column("weight", Integer, nullable=False),
    Column("balance", BigInteger, nullable=False, server_default=text("0")),
)

lead = Table(
    "lead",
    METADATA,
    Column("lead_id", Id, primary_key=True),
    Column("cleared", LargeBinary),
    Column("decided_at", Instant),
    Column("blocked_at", Instant),
    Column("updated_at", Instant, nullable=False),
)
account = Table(
    "account",
    METADATA,
    Column("company_domain", Text, primary_key=True),
    Column("rep_id", Text),
    Column("seen_at", Instant, nullable=False),
)
assignment = Table(
    "assignment",
    METADATA,
    Column("assignment_id", Id, primary_key=True),
    Column("lead_id", Id, nullable=False),
    Column("rep_id", Text, nullable=False),
    Column("rep_name", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("pool", Text, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("document_version", Text, nullable=False),
    Column("source_key", Text, nullable=False),
    Column("decision_id", Id, nullable=False),
    Column("assigned_at", Instant, nullable=False),
    Column("worked_at", Instant),
    Column("ended_at", Instant),
    Column("end_reason", Text),
    Index("assignment_lead", "lead_id", "assignment_id"),
    # The promise "one owner per lead", kept by the database whatever the code does.
    Index("assignment_one_owner", "lead_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    Index("assignment_rep", "rep_id", "assignment_id"),
)
fallback_entry = Table(
    "fallback_entry",
    METADATA,
    Column("lead_id", Id, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("rule_id", Text),
    Column("source_key", Text, nullable=False),
    Column("decision_id", Id, nullable=False),
    Column("queued_at", Instant, nullable=False),
    Index("fallback_queued", "queued_at", "lead_id"),
)
decision = Table(
    "decision",
    METADATA,
    Column("decision_id", Id, primary_key=True),
    Column("lead_id", Id, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("trace", LargeBinary, nullable=False),
    Index("decision_lead", "lead_id", "decision_id"),
)

endpoint = Table(
    "endpoint",
    METADATA,
    Column("endpoint_id", Id, primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("events", ARRAY(Text), nullable=False),
    Column("max_concurrency", SmallInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("disabled_reason", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)
endpoint_secret = Table(
    "endpoint_secret",
    METADATA,
    Column("secret_id", Id, primary_key=True),
    Column("endpoint_id", Id, ForeignKey("endpoint.endpoint_id", ondelete="CASCADE"), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("endpoint_secret_of", "endpoint_id", "secret_id"),
)
callback = Table(
    "callback",
    METADATA,
    Column("callback_id", Id, primary_key=True),
    Column("endpoint_id", Id, nullable=False),
    Column("lead_id", Id, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # Receipt of the submission, for the time until the CRM acknowledged; set where the event is an assignment.
    Column("received_at", Instant),
    Column("copies", SmallInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("state", String(16), nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("settled_at", Instant),
    Column("last_status", SmallInteger),
    Column("last_outcome", Text),
    Column("last_attempt_ms", Integer),
    Index("callback_due", "endpoint_id", "due_at", postgresql_where=text("state = 'pending'")),
    Index("callback_lead", "lead_id", "callback_id"),
)
# Attempts that failed. The one that succeeded is in the callback's own row: one write less on the way that matters.
failed_attempt = Table(
    "failed_attempt",
    METADATA,
    Column("callback_id", Id, primary_key=True),
    Column("started_at", Instant, primary_key=True),
    Column("attempt", SmallInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", SmallInteger),
)
