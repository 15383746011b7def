"""Which actions a destination stopped at, so that the next one is tried first."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody knows of the actions so far."""
    op.add_column("actions", sa.Column("stopped_at", sa.DateTime()))


def downgrade() -> None:
    """The order is that of age again."""
    # Never a table made anew here: SQLite would delete the attempts that hang on the old one.
    op.execute("ALTER TABLE actions DROP COLUMN stopped_at")
