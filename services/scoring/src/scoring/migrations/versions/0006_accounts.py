"""Which account each lead belongs to."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE lead_account (
            lead_id uuid PRIMARY KEY,
            account uuid,
            known_at timestamptz NOT NULL
        )
    """)
    # The newest leads of an account, without a look at the table.
    op.execute("CREATE INDEX lead_account_by_account ON lead_account (account, lead_id)")


def downgrade() -> None:
    op.execute("DROP TABLE lead_account")
