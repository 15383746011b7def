"""The outbox's tables as SQLAlchemy Core sees them, the values of their columns, and how times and JSON are stored.

No statement is made here. A change of a table needs a migration in `migrations/versions/` and its name in
`migrate.HEAD`.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
)
from sqlalchemy.types import TypeDecorator

PENDING, SENDING, SENT, RETRYING, DEAD, SKIPPED = "pending", "sending", "sent", "retrying", "dead", "skipped"
STATUSES = (PENDING, SENDING, SENT, RETRYING, DEAD, SKIPPED)
UNSETTLED = (PENDING, SENDING, RETRYING)
"""Statuses of actions that are still to be done."""

UPDATABLE = frozenset({"ticket", "contact", "note", "task"})
"""Kinds whose record may be changed after it was created; all others are sent once and then frozen."""

PREVIEW = "preview"
"""The destination that only stores what would go out."""


class SkipReason(StrEnum):
    """Why an action is not to be done. The `sync` tables use the same values; people read `last_error`."""

    TOO_OLD = "too_old"
    TOO_MANY = "too_many"
    HELD_BACK = "held_back"
    NO_ADDRESS = "no_address"
    NO_PHONE = "no_phone"
    NOT_ROUTED = "not_routed"


class UtcTime(TypeDecorator[datetime]):
    """A moment, stored as UTC without a zone so that SQLite and Postgres agree; always aware when read.

    A naive value counts as UTC.
    """

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """UTC without its zone."""
        if value is None or value.tzinfo is None:
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """UTC with its zone."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

actions = Table(
    "actions",
    metadata,
    Column("action_key", String, primary_key=True),
    Column(
        "due_key", String, nullable=False, comment="The key without its destination: what a system knows."
    ),
    Column("channel", String(32), nullable=False),
    Column("kind", String(64), nullable=False),
    Column(
        "parent_key", String, comment="due_key of the action whose record this one hangs on; it goes first."
    ),
    Column("source", String),
    Column("call_id", String),
    Column("destination", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("payload_hash", String(64), nullable=False),
    Column("status", String(16), CheckConstraint(f"status IN {STATUSES!r}", name="status"), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False, comment="Failed tries in a row; the backoff counts these."),
    Column("due_at", UtcTime),
    Column("next_attempt_at", UtcTime),
    Column("external_id", Text),
    Column(
        "skip_reason",
        String(16),
        CheckConstraint(
            f"skip_reason IN {tuple(reason.value for reason in SkipReason)!r}", name="skip_reason"
        ),
        comment="Set while the action is skipped, and only then.",
    ),
    Column("last_error", Text, comment="For people; no code reads it."),
    Column("facts", Text, comment="What routes may ask of the call and the payload does not say, as JSON."),
    Column("given_up_by", Text, comment="The person who closed it; a changed payload does not reopen it."),
    Column(
        "stopped_at", UtcTime, comment="When its destination last stopped at it; nothing once it is sent."
    ),
    Column("begun", Integer, nullable=False, server_default="0", comment="Sends whose end nobody knows."),
    Column(
        "refused_in_row",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="Refused while nothing got through: it waits again if its destination stops.",
    ),
    Column(
        "mailbox", String(320), comment="Whom a mail goes to, in one spelling; nothing for our own people."
    ),
    Column("mail_domain", String(255), comment="The domain of the mailbox."),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("change_number", BigInteger, nullable=False, comment="The write that touched the row last."),
    CheckConstraint("(status = 'skipped') = (skip_reason IS NOT NULL)", name="skipped_has_reason"),
    Index(None, "channel", "status", "next_attempt_at"),
    Index(None, "change_number", "action_key"),
    Index(None, "call_id"),
    Index(None, "due_key"),
    Index(None, "mailbox", "due_at"),
    Index(None, "mail_domain", "due_at"),
    Index(None, "channel", "due_at"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("action_key", String, ForeignKey("actions.action_key", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("destination", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("error", Text),
)

interventions = Table(
    "interventions",
    metadata,
    Column("action_key", String, ForeignKey("actions.action_key", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("did", String(16), nullable=False),
)

previews = Table(
    "previews",
    metadata,
    Column("action_key", String, primary_key=True),
    Column("destination", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "channel", "updated_at"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("channel", String(32), primary_key=True),
    Column("destination", String(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("times", Integer, nullable=False),
    Column("is_alerted", Boolean, nullable=False),
)

streaks = Table(
    "streaks",
    metadata,
    Column("channel", String(32), primary_key=True),
    Column("destination", String(64), primary_key=True),
    Column("refused", Integer, nullable=False),
    Column("unreachable", Integer, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("channel", String(32), primary_key=True),
    Column("destination", String(64), primary_key=True),
    Column("chain", String, primary_key=True, comment="Actions that must not overtake each other."),
    Column("owner", String(255), nullable=False),
    Column("lease_until", DateTime, nullable=False, comment="By the database's clock, UTC."),
)

paces = Table(
    "paces",
    metadata,
    Column("channel", String(32), primary_key=True),
    Column("destination", String(64), primary_key=True),
    Column("next_at", DateTime, comment="When the next action may begin, by the database's clock, UTC."),
)

problems = Table(
    "problems",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("subject", String(255), nullable=False),
    Column("headline", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("alerted_at", UtcTime),
    Column("resolved_at", UtcTime),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)

change_counter = Table(
    "change_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

# Sorted keys, because equal content must have equal hashes. What JSON cannot express (a lone surrogate, a number beyond
# 64 bits, NaN, endless depth) is replaced, because one odd transcript must not stop the rows beside it.
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS
_DEEPEST = 60
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def encode_json(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Canonical JSON text of a payload (sorted keys; times as ISO 8601 UTC) and its SHA-256 in hex."""
    try:
        data = orjson.dumps(dict(payload), default=str, option=_OPTIONS)
    except TypeError:
        data = orjson.dumps(_repaired(payload, 0), default=str, option=_OPTIONS)
    return data.decode(), hashlib.sha256(data).hexdigest()


def decode_json(text: str) -> dict[str, Any]:
    """A payload back from its text."""
    value = orjson.loads(text)
    return value if isinstance(value, dict) else {}


def clean(text: str) -> str:
    """The text with what no database takes (lone surrogates, NUL) replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def _repaired(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean(value)
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {clean(str(key)): _repaired(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_repaired(item, depth + 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 63:
        return hex(value)
    return value
