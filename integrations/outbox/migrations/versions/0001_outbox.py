"""The outbox: actions, their attempts, previews, watermarks and the counter of changes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the five tables."""
    _actions()
    op.create_table(
        "attempts",
        sa.Column("action_key", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("error", sa.Text()),
        sa.ForeignKeyConstraint(
            ["action_key"], ["actions.action_key"], name="fk_attempts_action_key", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("action_key", "number", name="pk_attempts"),
    )
    op.create_table(
        "previews",
        sa.Column("action_key", sa.String(), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("action_key", name="pk_previews"),
    )
    op.create_index("ix_previews_channel_updated_at", "previews", ["channel", "updated_at"])
    op.create_table(
        "watermarks",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_watermarks"),
    )
    counter = op.create_table(
        "change_counter",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_change_counter"),
    )
    op.bulk_insert(counter, [{"id": 1, "value": 0}])


def _actions() -> None:
    op.create_table(
        "actions",
        sa.Column("action_key", sa.String(), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("parent_key", sa.String()),
        sa.Column("source", sa.String()),
        sa.Column("call_id", sa.String()),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime()),
        sa.Column("next_attempt_at", sa.DateTime()),
        sa.Column("external_id", sa.Text()),
        sa.Column("last_error", sa.Text()),
        sa.Column("given_up_by", sa.Text()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime()),
        sa.Column("change_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("action_key", name="pk_actions"),
        sa.CheckConstraint(
            "status IN ('pending', 'sending', 'sent', 'retrying', 'dead', 'skipped')",
            name="ck_actions_status",
        ),
    )
    op.create_index(
        "ix_actions_channel_status_next_attempt_at", "actions", ["channel", "status", "next_attempt_at"]
    )
    op.create_index("ix_actions_change_number_action_key", "actions", ["change_number", "action_key"])
    op.create_index("ix_actions_call_id", "actions", ["call_id"])


def downgrade() -> None:
    """Drop all of it."""
    for table in ("change_counter", "watermarks", "previews", "attempts", "actions"):
        op.drop_table(table)
