"""What a due action means for its row: docs/actions.md as one pure function.

No database here. Filling reads rows, asks this module, and writes what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from integrations.config import IntegrationSettings
from integrations.outbox.limits import TOO_MANY
from integrations.outbox.models import DueAction
from integrations.outbox.schema import DEAD, PENDING, RETRYING, SKIPPED, UPDATABLE

TOO_OLD = "too old"
FINAL = frozenset({TOO_OLD, TOO_MANY})
"""Reasons of a skip that no new content ends; a person can."""
MOST_BEGUN = 2
"""So many sends may begin without a known end, where nobody can be asked what became of them."""
HELD_BACK = "held back: "
"""How the reason of a skip begins that a destination decided on."""


class EnqueueResult(Enum):
    """What became of a due action in a fill."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Transition:
    """What to write: the verdict, and the values of the columns that a fill may change."""

    verdict: EnqueueResult
    values: Mapping[str, Any]


UNCHANGED = Transition(EnqueueResult.UNCHANGED, {})


def too_old(action: DueAction, now: datetime, settings: IntegrationSettings) -> bool:
    """Whether the action is over its channel's age limit; one without a time has no age."""
    if settings.ignore_action_age or action.due_at is None:
        return False
    due = action.due_at if action.due_at.tzinfo else action.due_at.replace(tzinfo=UTC)
    return now - due > settings.max_age_of(action.channel)


def decide_new(action: DueAction, now: datetime, settings: IntegrationSettings) -> Transition:
    """A key never seen: pending, or skipped with the reason. Age comes first, because it is final."""
    if too_old(action, now, settings):
        return Transition(EnqueueResult.SKIPPED, _row(SKIPPED, TOO_OLD))
    if action.skip_reason:
        return Transition(EnqueueResult.SKIPPED, _row(SKIPPED, action.skip_reason))
    return Transition(EnqueueResult.CREATED, _row(PENDING))


def decide_known(
    action: DueAction, digest: str, row: Mapping[str, Any], now: datetime, settings: IntegrationSettings
) -> Transition:
    """A key that has a row.

    Sent: changed content makes an updatable kind pending again, as an update of the same record; any other
    kind is frozen. Not yet sent: the content is replaced, and a wait that was set by a failure stays.
    Skipped as too old, or as one of too many: final. Held back by the destination: until the content changes.
    Skipped for another reason: pending when the reason is gone. Dead: changed content is a new chance, unless a
    person gave it up, or it may be sent only once and is too old by now or was perhaps sent.
    """
    changed = digest != row["payload_hash"]
    was_sent = row["sent_at"] is not None
    if was_sent and action.kind not in UPDATABLE:
        return UNCHANGED
    if row["status"] == SKIPPED:
        return _decide_skipped(action, row, changed)
    if row["status"] == DEAD:
        return _decide_dead(action, row, changed, now, settings)
    if action.skip_reason and not was_sent:
        return Transition(EnqueueResult.UPDATED, _row(SKIPPED, action.skip_reason))
    if not changed:
        return UNCHANGED
    if row["failures"] or row["status"] == RETRYING:
        return Transition(EnqueueResult.UPDATED, _kept(row))
    return Transition(EnqueueResult.UPDATED, _row(PENDING))


def too_many(decision: Transition) -> Transition:
    """The decision for a mail that is one too many; what happened to its row before makes no difference."""
    was_new = decision.verdict is EnqueueResult.CREATED
    return Transition(EnqueueResult.SKIPPED if was_new else EnqueueResult.UPDATED, _row(SKIPPED, TOO_MANY))


def is_held_back(row: Mapping[str, Any]) -> bool:
    """Whether a destination skipped it."""
    return row["status"] == SKIPPED and (row["last_error"] or "").startswith(HELD_BACK)


def _decide_skipped(action: DueAction, row: Mapping[str, Any], changed: bool) -> Transition:
    final = row["last_error"] in FINAL
    if is_held_back(row) and not changed:
        return UNCHANGED
    if not final and not action.skip_reason:
        return Transition(EnqueueResult.UPDATED, _row(PENDING))
    reason = row["last_error"] if final else action.skip_reason
    if not changed and reason == row["last_error"]:
        return UNCHANGED
    return Transition(EnqueueResult.UPDATED, _row(SKIPPED, reason))


def _decide_dead(
    action: DueAction, row: Mapping[str, Any], changed: bool, now: datetime, settings: IntegrationSettings
) -> Transition:
    if not changed:
        return UNCHANGED
    late = action.kind not in UPDATABLE and too_old(action, now, settings)
    if row["given_up_by"] or late or row["begun"] >= MOST_BEGUN:
        return Transition(EnqueueResult.UPDATED, _kept(row))
    if action.skip_reason and row["sent_at"] is None:
        return Transition(EnqueueResult.UPDATED, _row(SKIPPED, action.skip_reason))
    return Transition(EnqueueResult.UPDATED, _row(PENDING))


def _row(status: str, reason: str | None = None) -> dict[str, Any]:
    return {"status": status, "last_error": reason, "failures": 0, "next_attempt_at": None}


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("status", "last_error", "failures", "next_attempt_at")}
