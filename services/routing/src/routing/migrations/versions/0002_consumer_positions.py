"""Where each consumer stands in its topics."""

from alembic import op

from shared.migrations import create_consumer_positions

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_consumer_positions()


def downgrade() -> None:
    op.drop_table("consumer_position")
