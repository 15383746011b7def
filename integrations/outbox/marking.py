"""Writing down what a try came to: the row of the action and one row of `attempts`.

Nothing is decided here about when to try again; nothing is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from integrations.errors import Forbidden
from integrations.outbox import payloads
from integrations.outbox.backlog import UNSETTLED
from integrations.outbox.engine import Write
from integrations.outbox.records import Action
from integrations.outbox.schema import DEAD, PENDING, RETRYING, SENT, SKIPPED, UPDATABLE, actions, attempts

STOPPED = "stopped"
# Results that show that the destination can be reached and takes our key; a refusal may be our own.
GOT_THROUGH = frozenset({"sent", "found"})
_MARKED = (
    "status", "attempts", "failures", "next_attempt_at", "external_id", "last_error", "sent_at",
    "destination", "payload", "payload_hash", "stopped_at", "updated_at", "change_number",
)  # fmt: skip
_UPDATE = (
    update(actions)
    .where(actions.c.action_key == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _MARKED})
)


@dataclass(frozen=True)
class Outcome:
    """What one try came to; `result` is sent, found (made by an earlier try), retrying, dead, skipped or stopped.

    `stopped`: the destination takes nothing for now, so that this was no try of the action. `cause` is what was raised,
    for whoever counts failures; it is not written. `is_alone`: others get through, so that nobody need count this one.
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


def mark(write: Write, outcomes: Sequence[Outcome]) -> None:
    """Record outcomes. The row may have changed since it was read: a fill may have brought new content."""
    for outcome in outcomes:
        if outcome.result == STOPPED:
            mine = actions.c.action_key == outcome.action.action_key
            write.connection.execute(update(actions).where(mine).values(stopped_at=outcome.finished_at))
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
        values = _sent(outcome, row) if outcome.result in ("sent", "found") else _failed(outcome, row)
        number = row["attempts"] + 1
        values |= {"attempts": number, "updated_at": outcome.finished_at, "change_number": write.number}
        merged = {name: values.get(name, row[name]) for name in _MARKED}
        changes.append({"key": row["action_key"]} | {f"new_{name}": value for name, value in merged.items()})
        tries.append(_attempt(outcome, number))
    write.connection.execute(_UPDATE, changes)
    write.connection.execute(insert(attempts), tries)


def _sent(outcome: Outcome, row: Any) -> dict[str, Any]:
    values = {
        "status": SENT,
        "failures": 0,
        "next_attempt_at": None,
        "external_id": outcome.external_id,
        "last_error": None,
        "stopped_at": None,
        "sent_at": outcome.finished_at,
        "destination": outcome.destination,
    }
    if row["payload_hash"] == outcome.action.payload_hash:
        return values
    if outcome.action.kind in UPDATABLE:
        return values | {"status": PENDING}
    # Sent once and frozen: the ledger keeps what really went out, not what came too late.
    text, digest = payloads.encode(outcome.action.payload)
    return values | {"payload": text, "payload_hash": digest}


def _failed(outcome: Outcome, row: Any) -> dict[str, Any]:
    if row["status"] not in UNSETTLED:
        return {}
    values = {
        "status": outcome.result,
        "failures": row["failures"] + 1,
        "next_attempt_at": outcome.next_attempt_at,
        "last_error": outcome.error,
        "destination": row["destination"] if row["external_id"] else outcome.destination,
    }
    if outcome.result == SKIPPED:
        values["failures"] = 0
    if isinstance(outcome.cause, Forbidden):
        values["stopped_at"] = outcome.finished_at
    if outcome.result in (DEAD, SKIPPED) and row["payload_hash"] != outcome.action.payload_hash:
        # What was refused is not what is due any more.
        return values | {"status": RETRYING, "failures": 1, "next_attempt_at": None}
    return values


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
