"""The tables of the first release."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001_outbox"
down_revision = None
branch_labels = None
depends_on = None

KEY, SHORT, NAME, LONG = sa.String(), sa.String(16), sa.String(32), sa.String(64)
TEXT, MOMENT, NUMBER, BIG = sa.Text(), sa.DateTime(), sa.Integer(), sa.BigInteger()
PLACE: dict[str, Any] = {"channel": NAME, "destination": LONG}
INDEXES = {
    "actions": (
        ("channel", "status", "next_attempt_at"),
        ("change_number", "action_key"),
        ("call_id",),
        ("due_key",),
        ("mailbox", "due_at"),
        ("mail_domain", "due_at"),
        ("channel", "due_at"),
    ),
    "previews": (("channel", "updated_at"),),
}


def upgrade() -> None:
    """Create every table."""
    _actions()
    tries = {
        "started_at": MOMENT,
        "finished_at": MOMENT,
        "destination": LONG,
        "outcome": SHORT,
        "error": TEXT,
    }
    _of_action("attempts", tries, nullable=("error",))
    _of_action("interventions", {"at": MOMENT, "by": TEXT, "did": SHORT})
    shown = {"media_type": sa.String(128), "title": TEXT, "body": TEXT, "revision": NUMBER}
    moments = {"created_at": MOMENT, "updated_at": MOMENT}
    previews = {"action_key": KEY, "destination": LONG, "channel": NAME, **shown, **moments}
    _create("previews", ("action_key",), previews)
    stops = {"reason": TEXT, "since": MOMENT, "until": MOMENT, "times": NUMBER, "is_alerted": sa.Boolean()}
    _create("pauses", tuple(PLACE), PLACE | stops)
    _create("streaks", tuple(PLACE), PLACE | {"refused": NUMBER, "unreachable": NUMBER})
    claims = {"chain": KEY, "owner": sa.String(255), "lease_until": MOMENT}
    _create("claims", (*PLACE, "chain"), PLACE | claims)
    _create("paces", tuple(PLACE), PLACE | {"next_at": MOMENT}, nullable=("next_at",))
    problems = {
        "key": sa.String(255), "since": MOMENT, "subject": sa.String(255), "headline": TEXT, "details": TEXT,
        "remedy": TEXT, "alerted_at": MOMENT, "resolved_at": MOMENT,
    }  # fmt: skip
    _create("problems", ("key", "since"), problems, nullable=("alerted_at", "resolved_at"))
    _create("watermarks", ("name",), {"name": sa.String(255), "value": TEXT})
    counter = _create("change_counter", ("id",), {"id": NUMBER, "value": BIG})
    op.bulk_insert(counter, [{"id": 1, "value": 0}])
    for table, indexes in INDEXES.items():
        for columns in indexes:
            op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _actions() -> None:
    statuses = ("pending", "sending", "sent", "retrying", "dead", "skipped")
    reasons = ("too_old", "too_many", "held_back", "no_address", "no_phone", "not_routed")
    columns = {
        "action_key": KEY, "due_key": KEY, "channel": NAME, "kind": LONG, "parent_key": KEY, "source": KEY,
        "call_id": KEY, "destination": LONG, "payload": TEXT, "payload_hash": LONG, "status": SHORT, "attempts": NUMBER,
        "failures": NUMBER, "due_at": MOMENT, "next_attempt_at": MOMENT, "external_id": TEXT, "skip_reason": SHORT,
        "last_error": TEXT, "facts": TEXT, "given_up_by": TEXT, "stopped_at": MOMENT, "mailbox": sa.String(320),
        "mail_domain": sa.String(255), "created_at": MOMENT, "updated_at": MOMENT, "sent_at": MOMENT,
        "change_number": BIG,
    }  # fmt: skip
    nullable = (
        "parent_key", "source", "call_id", "due_at", "next_attempt_at", "external_id", "skip_reason", "last_error",
        "facts", "given_up_by", "stopped_at", "mailbox", "mail_domain", "sent_at",
    )  # fmt: skip
    _create(
        "actions",
        ("action_key",),
        columns,
        sa.Column("begun", NUMBER, nullable=False, server_default="0"),
        sa.Column("refused_in_row", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.CheckConstraint(f"status IN {statuses!r}", name="ck_actions_status"),
        sa.CheckConstraint(f"skip_reason IN {reasons!r}", name="ck_actions_skip_reason"),
        sa.CheckConstraint(
            "(status = 'skipped') = (skip_reason IS NOT NULL)", name="ck_actions_skipped_has_reason"
        ),
        nullable=nullable,
    )


def _of_action(name: str, columns: dict[str, Any], *, nullable: tuple[str, ...] = ()) -> None:
    """A table of numbered rows that go with their action."""
    of_action = sa.ForeignKeyConstraint(
        ["action_key"], ["actions.action_key"], name=f"fk_{name}_action_key", ondelete="CASCADE"
    )
    numbered: dict[str, Any] = {"action_key": KEY, "number": NUMBER}
    _create(name, ("action_key", "number"), numbered | columns, of_action, nullable=nullable)


def _create(
    name: str,
    key: tuple[str, ...],
    columns: dict[str, Any],
    *more: sa.schema.SchemaItem,
    nullable: tuple[str, ...] = (),
) -> sa.Table:
    """A table with this primary key, whose columns are never null but for some."""
    return op.create_table(
        name,
        *(
            sa.Column(column, kind, nullable=column in nullable, autoincrement=False)
            for column, kind in columns.items()
        ),
        *more,
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
    )


def downgrade() -> None:
    """Drop every table."""
    tables = (
        "change_counter", "watermarks", "problems", "paces", "claims", "streaks", "pauses", "previews",
        "interventions", "attempts", "actions",
    )  # fmt: skip
    for table in tables:
        op.drop_table(table)
