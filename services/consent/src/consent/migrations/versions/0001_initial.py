"""The runtime's tables, the consent ledger, present standings, decisions, and the suppression list."""

from alembic import op

from shared.migrations import create_runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_runtime_tables()
    op.execute("""
        CREATE TABLE consent_event (
            lead_id uuid NOT NULL,
            record_id text NOT NULL,
            state text NOT NULL,
            purposes text[] NOT NULL,
            channels text[] NOT NULL,
            happened_at timestamptz NOT NULL,
            known_at timestamptz NOT NULL,
            method text NOT NULL,
            lawful_basis text NOT NULL,
            notice_version text,
            text_shown text,
            is_double_opt_in boolean NOT NULL,
            actor text NOT NULL,
            PRIMARY KEY (lead_id, record_id)
        )
    """)
    # Rewritten at each submission: with the default 20 % of dead rows a million leads would wait for 200,000 of them.
    op.execute("""
        CREATE TABLE lead_consent (
            lead_id uuid PRIMARY KEY,
            standing bytea NOT NULL,
            scored bytea,
            decision_id uuid,
            is_cleared boolean NOT NULL
        ) WITH (fillfactor = 80)
    """)
    op.execute("""
        CREATE TABLE consent_decision (
            lead_id uuid NOT NULL,
            decision_id uuid NOT NULL,
            decided_at timestamptz NOT NULL,
            table_version text NOT NULL,
            decision bytea NOT NULL,
            PRIMARY KEY (lead_id, decision_id)
        )
    """)
    op.execute("""
        CREATE TABLE suppression (
            address_hash bytea PRIMARY KEY,
            channels text[] NOT NULL,
            reason text NOT NULL,
            added_at timestamptz NOT NULL,
            added_by text NOT NULL
        )
    """)
    op.execute("CREATE INDEX suppression_by_time ON suppression (added_at, address_hash)")
    # Whose address it is, by the suppression list's hash: a question about an address finds what its person said.
    op.execute("""
        CREATE TABLE lead_address (
            address_hash bytea NOT NULL,
            lead_id uuid NOT NULL,
            PRIMARY KEY (address_hash, lead_id)
        )
    """)
    # A ledger that can be rewritten proves nothing.
    for table in ("consent_event", "consent_decision"):
        op.execute(f"""
            CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """)


def downgrade() -> None:
    op.execute("DROP TABLE lead_address, suppression, consent_decision, lead_consent, consent_event")
