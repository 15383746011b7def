"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001_outbox"
down_revision = None
branch_labels = None
depends_on = None

ACTION_INDEXES = (
    ("channel", "status", "next_attempt_at"),
    ("change_number", "action_key"),
    ("call_id",),
    ("due_key",),
    ("mailbox", "due_at"),
    ("mail_domain", "due_at"),
    ("channel", "due_at"),
)


def upgrade() -> None:
    """Create every table."""
    _actions()
    _history_of_actions()
    _destinations()
    op.create_table(
        "problems",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("alerted_at", sa.DateTime()),
        sa.Column("resolved_at", sa.DateTime()),
        sa.PrimaryKeyConstraint("key", "since", name="pk_problems"),
    )
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
        sa.Column("due_key", sa.String(), nullable=False),
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
        sa.Column("skip_reason", sa.String(16)),
        sa.Column("last_error", sa.Text()),
        sa.Column("facts", sa.Text()),
        sa.Column("given_up_by", sa.Text()),
        sa.Column("stopped_at", sa.DateTime()),
        sa.Column("begun", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("refused_in_row", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("mailbox", sa.String(320)),
        sa.Column("mail_domain", sa.String(255)),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime()),
        sa.Column("change_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("action_key", name="pk_actions"),
        sa.CheckConstraint(
            "status IN ('pending', 'sending', 'sent', 'retrying', 'dead', 'skipped')",
            name="ck_actions_status",
        ),
        sa.CheckConstraint(
            "skip_reason IN ('too_old', 'too_many', 'held_back', 'no_address', 'no_phone', 'not_routed')",
            name="ck_actions_skip_reason",
        ),
        sa.CheckConstraint(
            "(status = 'skipped') = (skip_reason IS NOT NULL)", name="ck_actions_skipped_has_reason"
        ),
    )
    for columns in ACTION_INDEXES:
        op.create_index(f"ix_actions_{'_'.join(columns)}", "actions", list(columns))


def _history_of_actions() -> None:
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


def _destinations() -> None:
    op.create_table(
        "pauses",
        *_place(),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("is_alerted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "destination", name="pk_pauses"),
    )
    op.create_table(
        "streaks",
        *_place(),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("unreachable", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "destination", name="pk_streaks"),
    )
    op.create_table(
        "claims",
        *_place(),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("lease_until", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "destination", "chain", name="pk_claims"),
    )
    op.create_table(
        "paces",
        *_place(),
        sa.Column("next_at", sa.DateTime()),
        sa.PrimaryKeyConstraint("channel", "destination", name="pk_paces"),
    )


def _place() -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "change_counter", "watermarks", "problems", "paces", "claims", "streaks", "pauses", "previews", "interventions",
        "attempts", "actions",
    ):  # fmt: skip
        op.drop_table(table)
