"""Claims, sends that have begun, refusals in a row, whom mails go to; keys of calls whose ids look like our own."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = ("begun", "refused_in_row", "mailbox", "mail_domain")
INDEXES = {
    "ix_actions_mailbox_due_at": ["mailbox", "due_at"],
    "ix_actions_mail_domain_due_at": ["mail_domain", "due_at"],
    "ix_actions_channel_due_at": ["channel", "due_at"],
}


def upgrade() -> None:
    """No send of an older version is known to have begun, and no mail of one counts towards a limit."""
    # Never a table made anew here: SQLite would delete the attempts that hang on the old one.
    op.add_column("actions", sa.Column("begun", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "actions", sa.Column("refused_in_row", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("actions", sa.Column("mailbox", sa.String(320)))
    op.add_column("actions", sa.Column("mail_domain", sa.String(255)))
    for name, columns in INDEXES.items():
        op.create_index(name, "actions", columns)
    op.create_table(
        "claims",
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("lease_until", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "destination", "chain", name="pk_claims"),
    )
    op.create_table(
        "paces",
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("next_at", sa.DateTime()),
        sa.PrimaryKeyConstraint("channel", "destination", name="pk_paces"),
    )
    _name_originals()


def downgrade() -> None:
    """A call whose id ends like a copy's keeps its key, as older versions read every key."""
    for table in ("claims", "paces"):
        op.drop_table(table)
    for name in INDEXES:
        op.drop_index(name, "actions")
    for column in COLUMNS:
        op.execute(f"ALTER TABLE actions DROP COLUMN {column}")


def _name_originals() -> None:
    """Mark the actions of calls whose ids end in `~2`: without the mark such a key is that of a copy."""
    connection = op.get_bind()
    odd = connection.execute(sa.text("SELECT DISTINCT due_key FROM actions WHERE due_key LIKE '%~%'"))
    rename = sa.text("UPDATE actions SET due_key = :new WHERE due_key = :old")
    exists = sa.text("SELECT 1 FROM actions WHERE due_key = :stem")
    for key in [row[0] for row in odd if re.search(r"~\d+\Z", row[0])]:
        if connection.execute(exists, {"stem": key.rpartition("~")[0]}).first() is None:
            connection.execute(rename, {"new": f"{key}~1", "old": key})
