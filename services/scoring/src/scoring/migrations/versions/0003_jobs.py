"""Long work (plans, backtests, trainings): what was asked, how far it is, what came out."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The result is json and not jsonb: it is read as a whole, and keeps the order it was written in.
    op.execute("""
        CREATE TABLE job (
            job_id uuid PRIMARY KEY,
            kind text NOT NULL,
            request jsonb NOT NULL,
            state text NOT NULL DEFAULT 'queued',
            asked_by text NOT NULL,
            asked_at timestamptz NOT NULL,
            started_at timestamptz,
            ended_at timestamptz,
            attempt integer NOT NULL DEFAULT 0,
            losses integer NOT NULL DEFAULT 0,
            beat_at timestamptz,
            is_cancelled boolean NOT NULL DEFAULT false,
            done bigint NOT NULL DEFAULT 0,
            total bigint NOT NULL DEFAULT 0,
            result json,
            error text,
            CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled'))
        )
    """)
    op.execute("CREATE INDEX job_by_kind ON job (kind, job_id)")
    # The promise that one job runs at a time: whoever claims a second one is refused by this.
    op.execute("CREATE UNIQUE INDEX job_running ON job (state) WHERE state = 'running'")


def downgrade() -> None:
    op.execute("DROP TABLE job")
