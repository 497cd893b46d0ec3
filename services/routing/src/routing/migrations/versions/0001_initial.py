"""Tables of the routing service."""

from alembic import op

from shared.migrations import create_runtime_tables, split_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE account (
    company_domain text NOT NULL,
    rep_id text,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (company_domain)
);

CREATE TABLE assignment (
    assignment_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    rep_id text NOT NULL,
    rep_name text NOT NULL,
    team text NOT NULL,
    pool text NOT NULL,
    rule_id text NOT NULL,
    via text NOT NULL,
    document_version text NOT NULL,
    source_key text NOT NULL,
    decision_id uuid NOT NULL,
    assigned_at timestamptz NOT NULL,
    worked_at timestamptz,
    ended_at timestamptz,
    end_reason text,
    PRIMARY KEY (assignment_id)
);
CREATE INDEX assignment_lead ON assignment (lead_id, assignment_id);
CREATE UNIQUE INDEX assignment_one_owner ON assignment (lead_id) WHERE ended_at IS NULL;
CREATE INDEX assignment_rep ON assignment (rep_id, assignment_id);

CREATE TABLE callback (
    callback_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    event_type text NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz,
    copies smallint NOT NULL,
    created_at timestamptz NOT NULL,
    state varchar(16) NOT NULL,
    due_at timestamptz NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    settled_at timestamptz,
    last_status smallint,
    last_outcome text,
    last_attempt_ms integer,
    PRIMARY KEY (callback_id)
);
CREATE INDEX callback_due ON callback (endpoint_id, due_at) WHERE state = 'pending';
CREATE INDEX callback_lead ON callback (lead_id, callback_id);

CREATE TABLE decision (
    decision_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    decided_at timestamptz NOT NULL,
    outcome text NOT NULL,
    trace bytea NOT NULL,
    PRIMARY KEY (decision_id)
);
CREATE INDEX decision_lead ON decision (lead_id, decision_id);

CREATE TABLE endpoint (
    endpoint_id uuid NOT NULL,
    url text NOT NULL,
    description text DEFAULT '' NOT NULL,
    events text[] NOT NULL,
    max_concurrency smallint NOT NULL,
    state varchar(16) NOT NULL,
    disabled_reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (endpoint_id)
);

CREATE TABLE failed_attempt (
    callback_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    attempt smallint NOT NULL,
    duration_ms integer NOT NULL,
    outcome text NOT NULL,
    status smallint,
    PRIMARY KEY (callback_id, started_at)
);

CREATE TABLE fallback_entry (
    lead_id uuid NOT NULL,
    reason text NOT NULL,
    rule_id text,
    source_key text NOT NULL,
    decision_id uuid NOT NULL,
    queued_at timestamptz NOT NULL,
    PRIMARY KEY (lead_id)
);
CREATE INDEX fallback_queued ON fallback_entry (queued_at, lead_id);

CREATE TABLE lead (
    lead_id uuid NOT NULL,
    cleared bytea,
    decided_at timestamptz,
    blocked_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (lead_id)
);

CREATE TABLE pool_member (
    pool_id text NOT NULL,
    rep_id text NOT NULL,
    weight integer NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    PRIMARY KEY (pool_id, rep_id)
);

CREATE TABLE rep (
    rep_id text NOT NULL,
    name text NOT NULL,
    email text,
    team text NOT NULL,
    time_zone text NOT NULL,
    working_hours jsonb,
    time_off jsonb NOT NULL,
    max_open integer,
    max_per_day integer,
    is_paused boolean DEFAULT false NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    removed_at timestamptz,
    PRIMARY KEY (rep_id)
);

CREATE TABLE roster_version (
    is_only boolean DEFAULT true NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (is_only)
);

CREATE TABLE endpoint_secret (
    secret_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (secret_id),
    FOREIGN KEY(endpoint_id) REFERENCES endpoint (endpoint_id) ON DELETE CASCADE
);
CREATE INDEX endpoint_secret_of ON endpoint_secret (endpoint_id, secret_id);

CREATE TABLE rep_load (
    rep_id text NOT NULL,
    open_leads integer DEFAULT 0 NOT NULL,
    day date,
    given integer DEFAULT 0 NOT NULL,
    PRIMARY KEY (rep_id),
    FOREIGN KEY(rep_id) REFERENCES rep (rep_id)
);
"""

_STORAGE = """
-- A handful of rows, each updated with every batch: room in the page for HOT updates, vacuum by count.
ALTER TABLE rep_load SET
    (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE pool_member SET
    (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
-- Each callback is updated twice within milliseconds of its insert (claimed, delivered).
ALTER TABLE callback SET (fillfactor = 85);
-- JSON of 1 to 2 kB: not worth the CPU of compressing on the way in.
ALTER TABLE decision ALTER COLUMN trace SET STORAGE EXTERNAL;
ALTER TABLE lead ALTER COLUMN cleared SET STORAGE EXTERNAL;
ALTER TABLE callback ALTER COLUMN body SET STORAGE EXTERNAL;
INSERT INTO roster_version (version) VALUES (1);
"""
_NAMES = (
    "rep_load", "pool_member", "roster_version", "rep", "failed_attempt", "callback", "endpoint_secret", "endpoint",
    "decision", "fallback_entry", "assignment", "account", "lead",
)  # fmt: skip


def upgrade() -> None:
    create_runtime_tables()
    for statement in (*split_statements(_TABLES), *split_statements(_STORAGE)):
        op.execute(statement)


def downgrade() -> None:
    for name in _NAMES:
        op.execute(f"DROP TABLE {name}")
