"""Pauses: channels that stopped because nothing would get through."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pauses",
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("is_alerted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name="pk_pauses"),
    )


def downgrade() -> None:
    """Drop it: every channel is tried again."""
    op.drop_table("pauses")
