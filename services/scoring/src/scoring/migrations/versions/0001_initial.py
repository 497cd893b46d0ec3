"""The runtime's tables, current scores, their history, and activities."""

from alembic import op

from shared.migrations import create_runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_runtime_tables()
    # Rewritten at each activity: with the default 20 % of dead rows a million leads would wait for 200,000 of them.
    op.execute("""
        CREATE TABLE lead_score (
            lead_id uuid PRIMARY KEY,
            decision_id uuid NOT NULL,
            trigger text NOT NULL,
            scored_at timestamptz NOT NULL,
            model_version text NOT NULL,
            points double precision NOT NULL,
            raw double precision NOT NULL,
            fit double precision NOT NULL,
            engagement double precision NOT NULL,
            grade text NOT NULL,
            is_mql boolean NOT NULL,
            profile_id uuid NOT NULL,
            lines bytea NOT NULL,
            CHECK (points BETWEEN 0 AND 100)
        )
    """)
    op.execute("CREATE INDEX lead_score_by_points ON lead_score (points, lead_id)")
    op.execute("""
        CREATE TABLE score_decision (
            lead_id uuid NOT NULL,
            decision_id uuid NOT NULL,
            trigger text NOT NULL,
            scored_at timestamptz NOT NULL,
            model_version text NOT NULL,
            points double precision NOT NULL,
            raw double precision NOT NULL,
            fit double precision NOT NULL,
            engagement double precision NOT NULL,
            grade text NOT NULL,
            is_mql boolean NOT NULL,
            profile bytea,
            PRIMARY KEY (lead_id, decision_id)
        )
    """)
    # Rows arrive in the order of time, so a block range index answers "the last N days" and costs an insert nothing.
    op.execute("CREATE INDEX score_decision_by_time ON score_decision USING brin (scored_at)")
    op.execute("""
        CREATE TABLE activity (
            lead_id uuid NOT NULL,
            activity_id text NOT NULL,
            kind text NOT NULL,
            occurred_at timestamptz NOT NULL,
            known_at timestamptz NOT NULL,
            detail bytea,
            PRIMARY KEY (lead_id, activity_id)
        )
    """)
    # History is not rewritten. Deleting stays possible: an erasure takes a lead's rows out whole.
    for table in ("score_decision", "activity"):
        op.execute(f"""
            CREATE TRIGGER {table}_is_append_only BEFORE UPDATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """)


def downgrade() -> None:
    op.execute("DROP TABLE activity, score_decision, lead_score")
