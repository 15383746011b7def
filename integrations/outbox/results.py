"""Writes what a try came to: the row of the action, and one row of `attempts`.

What an outcome means for the row is decided by `transitions`; when it is tried again, by `attempt`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from integrations.errors import DestinationUnavailable, Forbidden, Rejected, Unreachable, Unsendable
from integrations.outbox.engine import Write
from integrations.outbox.models import Action
from integrations.outbox.schema import (
    DEAD,
    RETRYING,
    SENT,
    SKIPPED,
    UPDATABLE,
    SkipReason,
    actions,
    attempts,
    encode_json,
)
from integrations.outbox.transitions import Event, Row, Values, change

RECOGNISED, STOPPED = "found", "stopped"
# Results that show that the destination can be reached and takes our key; a refusal may be our own.
GOT_THROUGH = frozenset({SENT, RECOGNISED})
_EVENTS = {RETRYING: Event.FAIL, DEAD: Event.FAIL_FOR_GOOD, SKIPPED: Event.HOLD_BACK}
_MARKED = (
    "status", "attempts", "failures", "next_attempt_at", "external_id", "skip_reason", "last_error", "sent_at",
    "destination", "payload", "payload_hash", "stopped_at", "begun", "refused_in_row", "updated_at", "change_number",
)  # fmt: skip
_UPDATE = (
    update(actions)
    .where(actions.c.action_key == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _MARKED})
)


@dataclass(frozen=True)
class Outcome:
    """What one try came to; `result` is sent, found (an earlier try created it), retrying, dead, skipped or stopped.

    `stopped`: the destination takes nothing for now, so that this was no try of the action. `cause` is what was raised,
    for whoever counts failures; it is not written. `is_alone`: others get through, so that nobody need count this one.
    `is_free`: the system failed, so the try does not count as a failure of the action. `is_lost`: nobody knows what
    became of the send.
    """

    action: Action
    destination: str
    result: str
    started_at: datetime
    finished_at: datetime
    external_id: str | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None
    cause: Exception | None = None
    is_alone: bool = False
    is_free: bool = False
    is_lost: bool = False


def begin(write: Write, begun: Sequence[Action]) -> None:
    """Record that sends begin; durable only if the transaction is. `mark` ends them."""
    for action in begun:
        values = change(Event.BEGIN, begun=action.begun + 1)
        is_row = actions.c.action_key == action.action_key
        write.connection.execute(update(actions).where(is_row).values(**values))


def unmarked(write: Write, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes that are not recorded yet, where nobody knows whether a transaction was carried out."""
    keys = [outcome.action.action_key for outcome in outcomes]
    query = select(attempts.c.action_key, attempts.c.started_at).where(attempts.c.action_key.in_(keys))
    recorded = {(row[0], row[1]) for row in write.connection.execute(query)}
    return [one for one in outcomes if (one.action.action_key, one.started_at) not in recorded]


def mark(write: Write, outcomes: Sequence[Outcome], foreign: Collection[str] = ()) -> None:
    """Record outcomes. The row may have changed since it was read: new content may have been enqueued.

    Of actions that another dispatcher holds by now (`foreign`, their keys) only what got through is recorded.
    """
    outcomes = [one for one in outcomes if one.result in GOT_THROUGH or one.action.action_key not in foreign]
    for outcome in outcomes:
        if outcome.result == STOPPED:
            values = change(Event.STOP, stopped_at=outcome.finished_at, begun=_begun(outcome))
            is_row = actions.c.action_key == outcome.action.action_key
            is_open = actions.c.status.in_(Event.STOP.before)
            write.connection.execute(update(actions).where(is_row, is_open).values(**values))
    outcomes = [outcome for outcome in outcomes if outcome.result != STOPPED]
    if not outcomes:
        return
    keys = [outcome.action.action_key for outcome in outcomes]
    current = {
        row["action_key"]: row
        for row in write.connection.execute(select(actions).where(actions.c.action_key.in_(keys))).mappings()
    }
    changes, tries = [], []
    for outcome in outcomes:
        row = current[outcome.action.action_key]
        if row["status"] == SENT and outcome.action.action_key in foreign:
            continue
        values = _sent(outcome, row) if outcome.result in GOT_THROUGH else _failed(outcome, row)
        number = row["attempts"] + 1
        values |= {"attempts": number, "updated_at": outcome.finished_at, "change_number": write.number}
        merged = {name: values.get(name, row[name]) for name in _MARKED}
        changes.append({"key": row["action_key"]} | {f"new_{name}": value for name, value in merged.items()})
        tries.append(_attempt(outcome, number))
    if changes:
        write.connection.execute(_UPDATE, changes)
        write.connection.execute(insert(attempts), tries)


def _sent(outcome: Outcome, row: Row) -> Values:
    result = {
        "external_id": outcome.external_id,
        "sent_at": outcome.finished_at,
        "destination": outcome.destination,
    }
    if row["payload_hash"] == outcome.action.payload_hash:
        return change(Event.SEND, **result)
    if outcome.action.kind in UPDATABLE:
        return change(Event.SEND_OUTDATED, **result)
    # Sent once and frozen: the ledger keeps what really went out, not what came too late.
    text, digest = encode_json(outcome.action.payload)
    return change(Event.SEND, **result, payload=text, payload_hash=digest)


def _failed(outcome: Outcome, row: Row) -> Values:
    columns: Values = {
        "begun": _begun(outcome),
        "last_error": outcome.error,
        "destination": row["destination"] if row["external_id"] else outcome.destination,
    }
    if isinstance(outcome.cause, DestinationUnavailable | Unreachable | ConnectionError | TimeoutError):
        # Whether it is the action alone shows when others get through from now on.
        columns["stopped_at"] = outcome.finished_at
    if _is_refused_in_row(outcome):
        columns |= {"stopped_at": outcome.finished_at, "refused_in_row": True}
    is_final = outcome.result in (DEAD, SKIPPED)
    if is_final and row["payload_hash"] != outcome.action.payload_hash:
        return change(Event.FAIL_OUTDATED, row, **columns)
    if outcome.result != SKIPPED:
        columns["failures"] = row["failures"] + (not outcome.is_free)
        columns["next_attempt_at"] = outcome.next_attempt_at
    else:
        columns["skip_reason"] = SkipReason.HELD_BACK.value
    return change(_EVENTS[outcome.result], row, **columns)


def _is_refused_in_row(outcome: Outcome) -> bool:
    """True if the system refused the action, and nothing shows yet that it refuses this one alone."""
    if outcome.is_alone or isinstance(outcome.cause, Unsendable):
        return False
    is_refused = outcome.result == DEAD and isinstance(outcome.cause, Rejected)
    return is_refused or isinstance(outcome.cause, Forbidden)


def _begun(outcome: Outcome) -> int:
    """Sends of the action whose end nobody knows, with this one if its end is unknown too."""
    return outcome.action.begun + outcome.is_lost


def _attempt(outcome: Outcome, number: int) -> dict[str, Any]:
    return {
        "action_key": outcome.action.action_key,
        "number": number,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
        "destination": outcome.destination,
        "outcome": outcome.result,
        "error": outcome.error,
    }
