"""What became of leads, as the CRM reported it."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What is reported before this revision, or by a process of the release before, is kept as an activity only:
    # the service fills it in (scoring.outcomes.catch_up).
    op.execute("""
        CREATE TABLE outcome (
            lead_id uuid NOT NULL,
            activity_id text NOT NULL,
            kind text NOT NULL CHECK (kind IN ('accepted', 'rejected', 'opportunity', 'won', 'lost')),
            reason text,
            occurred_at timestamptz NOT NULL,
            known_at timestamptz NOT NULL,
            PRIMARY KEY (lead_id, activity_id)
        )
    """)
    op.execute("""
        CREATE TRIGGER outcome_is_append_only BEFORE UPDATE ON outcome
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
    # Enough outcomes to test a version by are counted now and then, while there are few among others.
    op.execute("CREATE INDEX outcome_by_kind ON outcome (kind)")
    op.execute("""
        CREATE TABLE outcome_catch_up (
            is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
            until timestamptz NOT NULL
        )
    """)
    # To find them among all activities; one in thousands is such a report, so the others pay nothing for it.
    op.execute("""
        CREATE INDEX activity_outcome ON activity (known_at)
        WHERE kind IN ('accepted', 'rejected', 'opportunity', 'won', 'lost')
    """)


def downgrade() -> None:
    op.execute("DROP INDEX activity_outcome")
    op.execute("DROP TABLE outcome_catch_up")
    op.execute("DROP TABLE outcome")
