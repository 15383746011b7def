"""Several destinations behind a channel: rows, pauses and streaks of each; who intervened; problems and their end."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every action so far is its channel's only one."""
    # Never a table made anew here: SQLite would delete the attempts that hang on the old one.
    op.add_column("actions", sa.Column("due_key", sa.String(), nullable=False, server_default=""))
    op.add_column("actions", sa.Column("facts", sa.Text()))
    op.execute("UPDATE actions SET due_key = action_key")
    op.create_index("ix_actions_due_key", "actions", ["due_key"])
    _pauses("channel", "destination")
    op.create_table(
        "interventions",
        sa.Column("action_key", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("did", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["action_key"], ["actions.action_key"], name="fk_interventions_action_key", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("action_key", "number", name="pk_interventions"),
    )
    op.create_table(
        "streaks",
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("unreachable", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "destination", name="pk_streaks"),
    )
    op.create_table(
        "problems",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime()),
        sa.Column("resolved_at", sa.DateTime()),
        sa.PrimaryKeyConstraint("key", "since", name="pk_problems"),
    )


def downgrade() -> None:
    """Only an action's first destination is left."""
    for table in ("problems", "streaks", "interventions"):
        op.drop_table(table)
    _pauses("channel")
    op.execute(
        "DELETE FROM attempts WHERE action_key IN (SELECT action_key FROM actions WHERE action_key <> due_key)"
    )
    op.execute("DELETE FROM actions WHERE action_key <> due_key")
    op.drop_index("ix_actions_due_key", "actions")
    for column in ("due_key", "facts"):
        op.execute(f"ALTER TABLE actions DROP COLUMN {column}")


def _pauses(*key: str) -> None:
    # Nothing is lost with the pauses: a destination that is still out of reach stops again at the first try.
    op.drop_table("pauses")
    op.create_table(
        "pauses",
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("is_alerted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name="pk_pauses"),
    )
