"""The runtime's tables, leads and their clocks."""

from alembic import op

from shared.migrations import create_runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_runtime_tables()
    # Two to four updates per lead, none of an indexed column: room in each page keeps them out of the index (HOT). A
    # lead is inserted with 50 bytes and an owner makes it 200.
    # Vacuum early: with the default 20 % of dead rows a million leads would drag 200,000 of them along.
    op.execute("""
        CREATE TABLE lead (
            lead_id uuid PRIMARY KEY,
            version integer NOT NULL,
            clock_count integer NOT NULL,
            journey bytea NOT NULL
        ) WITH (fillfactor = 40)
    """)
    # The columns of fixed width first: no padding between them. The key is the number, not the name: every clock is
    # written into its index two or three times.
    op.execute("""
        CREATE TABLE clock (
            lead_id uuid NOT NULL,
            started_at timestamptz NOT NULL,
            due_at timestamptz NOT NULL,
            closed_at timestamptz,
            met_at timestamptz,
            number integer NOT NULL,
            state text NOT NULL
                CHECK (state IN ('started', 'at_risk', 'met', 'breached', 'escalated', 'cancelled')),
            stage text NOT NULL,
            policy_id text NOT NULL,
            policy_version text NOT NULL,
            rep_id text,
            clock_id text NOT NULL,
            detail bytea NOT NULL,
            PRIMARY KEY (lead_id, number)
        )
    """)
    # The list of running clocks by time left; a closed clock costs it nothing.
    op.execute("CREATE INDEX clock_open ON clock (due_at, lead_id) WHERE closed_at IS NULL")
    # Clocks start in the order of time, so a block range index answers "started in this period" and is almost free.
    op.execute("CREATE INDEX clock_started ON clock USING brin (started_at)")


def downgrade() -> None:
    op.execute("DROP TABLE clock, lead")
