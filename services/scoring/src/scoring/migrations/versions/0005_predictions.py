"""Predictive models learned from outcomes, the live one, and what it says of each lead."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE prediction_model (
            version integer PRIMARY KEY,
            job_id uuid NOT NULL UNIQUE,
            created_at timestamptz NOT NULL,
            created_by text NOT NULL,
            refreshed_from integer REFERENCES prediction_model (version),
            outcome text NOT NULL,
            since timestamptz NOT NULL,
            learned_until timestamptz NOT NULL,
            until timestamptz NOT NULL,
            model json NOT NULL,
            report json NOT NULL,
            learned bytea NOT NULL
        )
    """)
    # No lead is in it, so not even an erasure takes a row out: every probability ever shown can be made again.
    op.execute("""
        CREATE TRIGGER prediction_model_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON prediction_model
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
    # One row at most. No row, or no version: no predictions.
    op.execute("""
        CREATE TABLE live_prediction_model (
            slot integer PRIMARY KEY DEFAULT 1 CHECK (slot = 1),
            version integer REFERENCES prediction_model (version),
            applied_at timestamptz NOT NULL,
            applied_by text NOT NULL,
            why text NOT NULL
        )
    """)
    # Without a default a new column rewrites no row. A partial index: where nothing is predicted, a decision pays
    # nothing for it.
    op.execute("ALTER TABLE lead_score ADD COLUMN probability double precision, ADD COLUMN prediction_version integer")
    op.execute("""
        CREATE INDEX lead_score_by_probability ON lead_score (prediction_version, probability, lead_id)
        WHERE probability IS NOT NULL
    """)


def downgrade() -> None:
    op.execute("DROP INDEX lead_score_by_probability")
    op.execute("ALTER TABLE lead_score DROP COLUMN probability, DROP COLUMN prediction_version")
    op.execute("DROP TABLE live_prediction_model, prediction_model")
