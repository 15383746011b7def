"""Every change of an action's status: a table of events, and pure functions that turn a row and an event into values.

The rules that people read are in docs/actions.md. No database here: other modules read rows, ask this one, and write
the values. Where an action goes belongs to `placement`; when a failed one is tried again belongs to `retry`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from integrations.config import IntegrationSettings
from integrations.outbox.models import DueAction
from integrations.outbox.schema import (
    DEAD,
    PENDING,
    RETRYING,
    SENDING,
    SENT,
    SKIPPED,
    STATUSES,
    UNSETTLED,
    UPDATABLE,
    SkipReason,
)

Row = Mapping[Any, Any]
Values = dict[str, Any]

FINAL = frozenset({SkipReason.TOO_OLD, SkipReason.TOO_MANY})
"""Reasons that no new content ends; a person can."""
MOST_BEGUN = 2
"""So many sends may begin without a known end, where nobody can be asked what became of them."""
SKIP_TEXTS = {
    SkipReason.TOO_OLD: "too old",
    SkipReason.TOO_MANY: "too many",
    SkipReason.NO_ADDRESS: "no address",
    SkipReason.NO_PHONE: "no phone",
    SkipReason.HELD_BACK: "held back",
    SkipReason.NOT_ROUTED: "goes to another destination now",
}
"""What people read; a destination that holds an action back adds its reason."""


@dataclass(frozen=True)
class Rule:
    """In which statuses an event changes a row, the status after it (None: the same), and what else it sets."""

    before: tuple[str, ...]
    after: str | None
    also: Values = field(default_factory=dict)

    @property
    def values(self) -> Values:
        """What is written of a row."""
        return self.also if self.after is None else {"status": self.after, **self.also}


CONTENT = (
    "parent_key", "source", "call_id", "payload", "payload_hash", "facts", "due_at", "mailbox", "mail_domain",
)  # fmt: skip
"""Columns that a due action brings, besides its channel and kind."""
_CLEAR: Values = {"failures": 0, "next_attempt_at": None, "last_error": None, "skip_reason": None}
_AGAIN: Values = {**_CLEAR, "given_up_by": None, "begun": 0, "refused_in_row": False}
_FRESH: Values = {**_CLEAR, "stopped_at": None, "begun": 0, "refused_in_row": False}


class Event:
    """The table: what can happen to an action, and the rule of each."""

    # It is due, has new content, or has a destination again.
    DUE = Rule((PENDING, SENDING, SENT, DEAD, SKIPPED), PENDING, _CLEAR)
    # It lacks something, is too old, is one too many, or no destination is left for it.
    SKIP = Rule((*UNSETTLED, SKIPPED, DEAD), SKIPPED, {"failures": 0, "next_attempt_at": None})
    # The configuration leads it to another destination; ids and stops of the old one mean nothing there.
    MOVE = Rule(UNSETTLED, None, {"external_id": None, "stopped_at": None})
    # A send begins whose end nobody could find out later.
    BEGIN = Rule(STATUSES, None)
    # Its destination stopped at it: that was no try.
    STOP = Rule(UNSETTLED, None)
    SEND = Rule(STATUSES, SENT, _FRESH)
    # Sent, and newer content came meanwhile for a record that can be updated.
    SEND_OUTDATED = Rule(STATUSES, PENDING, _FRESH)
    # A destination skipped it: no address, a suppressed one.
    HOLD_BACK = Rule(UNSETTLED, SKIPPED, {"failures": 0, "next_attempt_at": None})
    FAIL = Rule(UNSETTLED, RETRYING)
    # Refused, or failed too often.
    FAIL_FOR_GOOD = Rule(UNSETTLED, DEAD, {"next_attempt_at": None})
    # Refused or held back, and newer content came meanwhile: what was refused is not what is due any more.
    FAIL_OUTDATED = Rule(UNSETTLED, RETRYING, {"failures": 1, "next_attempt_at": None})
    # Its destination refuses everybody: what was refused in that row waits with the others.
    DESTINATION_STOP = Rule(
        (DEAD, RETRYING), PENDING, {"failures": 0, "next_attempt_at": None, "refused_in_row": False}
    )
    # Something got through: what was refused before was refused for its own content.
    DESTINATION_WORKS = Rule(STATUSES, None, {"refused_in_row": False})
    # A person has it tried again, closes it for good, or has it sent once more.
    RETRY = Rule(STATUSES, PENDING, _AGAIN)
    CLOSE = Rule((*UNSETTLED, SKIPPED, DEAD), DEAD, {"next_attempt_at": None, "skip_reason": None})
    RESEND = Rule((SENT,), PENDING, _AGAIN)


def change(rule: Rule, row: Row | None = None, /, **columns: Any) -> Values:
    """What an event writes of a row: the values of its rule, and the columns given; nothing if it does not apply.

    Without a row: of one that is not written yet, or of rows that the caller selects by the rule's `before`.
    """
    if row is not None and row["status"] not in rule.before:
        return {}
    return rule.values | columns


class EnqueueResult(Enum):
    """What became of a due action when it was enqueued."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Transition:
    """What became of a due action, and the values to write of its row."""

    result: EnqueueResult
    values: Values


UNCHANGED = Transition(EnqueueResult.UNCHANGED, {})


def too_old(action: DueAction, now: datetime, settings: IntegrationSettings) -> bool:
    """True if the action is over its channel's age limit; one without a time has no age."""
    if settings.ignore_action_age or action.due_at is None:
        return False
    due = action.due_at if action.due_at.tzinfo else action.due_at.replace(tzinfo=UTC)
    return now - due > settings.max_age_of(action.channel)


def skip(reason: SkipReason) -> Values:
    """The values of a row that is skipped for this reason."""
    return change(Event.SKIP, skip_reason=reason.value, last_error=SKIP_TEXTS[reason])


def enqueue_new(action: DueAction, now: datetime, settings: IntegrationSettings) -> Transition:
    """A key never seen: pending, or skipped with the reason. Age comes first, because it is final."""
    if too_old(action, now, settings):
        return Transition(EnqueueResult.SKIPPED, skip(SkipReason.TOO_OLD))
    if action.skip_reason:
        return Transition(EnqueueResult.SKIPPED, skip(action.skip_reason))
    return Transition(EnqueueResult.CREATED, change(Event.DUE))


def enqueue_known(
    action: DueAction, digest: str, row: Row, now: datetime, settings: IntegrationSettings
) -> Transition:
    """A key that has a row.

    Sent: changed content makes an updatable kind pending again, as an update of the same record; any other
    kind is frozen. Not yet sent: the content is replaced, and a wait that was set by a failure stays.
    Skipped as too old, or as one of too many: final. Held back by the destination: until the content changes.
    Skipped for another reason: pending when the reason is gone. Dead: changed content is a new chance, unless a
    person gave it up, or it may be sent only once and is too old by now or was perhaps sent.
    """
    is_changed = digest != row["payload_hash"]
    was_sent = row["sent_at"] is not None
    if was_sent and action.kind not in UPDATABLE:
        return UNCHANGED
    if row["status"] == SKIPPED:
        return _enqueue_skipped(action, row, is_changed)
    if row["status"] == DEAD:
        if not is_changed:
            return UNCHANGED
        if _is_closed(action, row, now, settings):
            return _new_content(row)
    if action.skip_reason and not was_sent:
        return Transition(EnqueueResult.UPDATED, skip(action.skip_reason))
    if not is_changed:
        return UNCHANGED
    if row["status"] != DEAD and (row["failures"] or row["status"] == RETRYING):
        return _new_content(row)
    return Transition(EnqueueResult.UPDATED, change(Event.DUE, row))


def too_many(transition: Transition) -> Transition:
    """The transition for a mail that is one too many; what happened to its row before makes no difference."""
    was_new = transition.result is EnqueueResult.CREATED
    return Transition(EnqueueResult.SKIPPED if was_new else EnqueueResult.UPDATED, skip(SkipReason.TOO_MANY))


def new_row(
    content: Row,
    values: Values,
    *,
    action_key: str,
    due_key: str,
    destination: str,
    now: datetime,
    number: int,
) -> Values:
    """A whole row of `actions`: the content of a due action, or of a row, under this key and in its first status.

    Args:
        content: the columns that say what is to be done; other columns of a row are left out.
        values: the first status, from `change`.
        action_key: the row's key.
        due_key: the key that a destination learns.
        destination: where it goes.
        now: the moment, UTC.
        number: the write's number.
    """
    first = {name: content[name] for name in ("channel", "kind", *CONTENT)} | _FRESH
    return {
        **first, "action_key": action_key, "due_key": due_key, "destination": destination, "attempts": 0,
        "external_id": None, "given_up_by": None, "created_at": now, "updated_at": now, "sent_at": None,
        "change_number": number, **values,
    }  # fmt: skip


def _enqueue_skipped(action: DueAction, row: Row, is_changed: bool) -> Transition:
    reason = SkipReason(row["skip_reason"])
    if reason is SkipReason.HELD_BACK and not is_changed:
        return UNCHANGED
    wanted = reason if reason in FINAL else action.skip_reason
    if not wanted:
        return Transition(EnqueueResult.UPDATED, change(Event.DUE, row))
    if not is_changed and wanted == reason:
        return UNCHANGED
    return Transition(EnqueueResult.UPDATED, skip(wanted))


def _is_closed(action: DueAction, row: Row, now: datetime, settings: IntegrationSettings) -> bool:
    """True if new content is no new chance for an action that is dead."""
    is_late = action.kind not in UPDATABLE and too_old(action, now, settings)
    return bool(row["given_up_by"] or is_late or row["begun"] >= MOST_BEGUN)


def _new_content(row: Row) -> Transition:
    """The content is replaced, and the status with its wait stays."""
    names = ("status", *_CLEAR)
    return Transition(EnqueueResult.UPDATED, {name: row[name] for name in names})
