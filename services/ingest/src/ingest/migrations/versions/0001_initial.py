"""Sources, raw submissions, records and their states, identities, leads, the ledger's counters."""

from alembic import op

from shared.migrations import create_runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_DDL = (
    "CREATE SEQUENCE source_revision",
    """
    CREATE TABLE source (
        source_key text PRIMARY KEY,
        kind text NOT NULL,
        name text NOT NULL,
        secrets jsonb NOT NULL,
        defaults jsonb NOT NULL,
        field_mapping jsonb NOT NULL,
        allowed_origins text[] NOT NULL,
        honeypot_field text NOT NULL,
        is_suspended boolean NOT NULL,
        revision bigint NOT NULL DEFAULT nextval('source_revision'),
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    # Partitioned by the day inside the id: raw bodies are personal data with a term, and a day is dropped whole.
    """
    CREATE TABLE submission (
        submission_id uuid PRIMARY KEY,
        source_key text NOT NULL,
        source_kind text NOT NULL,
        received_at timestamptz NOT NULL,
        headers json NOT NULL,
        body bytea NOT NULL,
        record_ids uuid[] NOT NULL
    ) PARTITION BY RANGE (submission_id)
    """,
    # Each record changes its state once or twice soon after it was written: leave room on the page, vacuum early.
    """
    CREATE TABLE record (
        record_id uuid PRIMARY KEY,
        submission_id uuid NOT NULL,
        ordinal smallint NOT NULL,
        source_key text NOT NULL,
        nature text NOT NULL,
        state text NOT NULL,
        reason text,
        lead_id uuid,
        received_at timestamptz NOT NULL,
        state_at timestamptz NOT NULL
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX record_lead ON record (lead_id) WHERE lead_id IS NOT NULL",
    "CREATE INDEX record_in_flight ON record (record_id) WHERE state = 'in_flight'",
    "CREATE INDEX record_quarantined ON record (record_id) WHERE state = 'quarantined'",
    # The key is what makes two submissions of one person in the same instant, on two replicas, one lead.
    """
    CREATE TABLE identity (
        kind text NOT NULL,
        value text NOT NULL,
        lead_id uuid NOT NULL,
        has_email boolean NOT NULL,
        PRIMARY KEY (kind, value)
    )
    """,
    "CREATE INDEX identity_lead ON identity (lead_id)",
    """
    CREATE TABLE delivery (
        source_key text NOT NULL,
        key text NOT NULL,
        submission_id uuid NOT NULL,
        fingerprint bytea NOT NULL,
        record_ids uuid[] NOT NULL,
        PRIMARY KEY (source_key, key)
    )
    """,
    "CREATE INDEX delivery_submission ON delivery (submission_id)",
    """
    CREATE TABLE lead (
        lead_id uuid PRIMARY KEY,
        fields json NOT NULL,
        facts json NOT NULL,
        latest_at timestamptz NOT NULL,
        enriched_at timestamptz NOT NULL
    )
    """,
    # Rows are summed up and replaced every few seconds. Appending never waits; one row per counter would make every
    # transaction of every replica queue for the same lock.
    """
    CREATE TABLE ledger_delta (
        counter text NOT NULL,
        n integer NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000)
    """,
)


def upgrade() -> None:
    create_runtime_tables()
    for statement in _DDL:
        op.execute(statement)


def downgrade() -> None:
    for table in ("ledger_delta", "lead", "delivery", "identity", "record", "submission", "source"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP SEQUENCE source_revision")
