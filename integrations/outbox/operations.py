"""What a person may do to an action: try it again, give it up, send it once more. Each says in a row who did it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from integrations.outbox import circuit_breaker
from integrations.outbox.engine import Write, writing
from integrations.outbox.following import forget
from integrations.outbox.keys import copy_key
from integrations.outbox.schema import DEAD, PENDING, SENT, SKIPPED, UPDATABLE, actions, interventions
from integrations.outbox.transitions import FINAL, is_held_back

UNKNOWN = "unknown"
_AGAIN = {
    "status": PENDING, "failures": 0, "next_attempt_at": None, "last_error": None, "given_up_by": None,
    "begun": 0, "refused_in_row": False,
}  # fmt: skip


class NotPossible(ValueError):
    """The action does not exist, or is in a state that this cannot be done to."""


def retry(engine: Engine, action_key: str, now: datetime | None = None, by: str = UNKNOWN) -> None:
    """Make an action due at once, whatever its age, and end a stop of its destination; a sent one only if updatable.

    Raises:
        NotPossible: if there is no such action, if it was sent and is of a kind that is sent once, or if it
            lacks what it needs (it was skipped for another reason than its age or a limit).
    """

    def decide(row: Any) -> dict[str, Any]:
        if row["sent_at"] is not None and row["kind"] not in UPDATABLE:
            raise NotPossible(f"{action_key} was sent, and a {row['kind']} is sent only once")
        if row["status"] == SKIPPED and row["last_error"] not in FINAL and not is_held_back(row):
            raise NotPossible(
                f"{action_key} was skipped: {row['last_error']}; it goes out when that is mended"
            )
        return _AGAIN

    with writing(engine) as write:
        row = _change(write, action_key, decide, now, by, "retry")
        # Who retries believes that it is mended; if it is not, the first try stops the destination again.
        circuit_breaker.end(write, row["channel"], row["destination"])
        forget(write, row["channel"])


def give_up(engine: Engine, action_key: str, by: str, now: datetime | None = None) -> None:
    """Close an action for good; only `retry` opens it again.

    Raises:
        NotPossible: if there is no such action, or it has been sent.
    """

    def decide(row: Any) -> dict[str, Any]:
        if row["status"] == SENT:
            raise NotPossible(f"{action_key} has been sent; there is nothing to give up")
        return {
            "status": DEAD,
            "next_attempt_at": None,
            "given_up_by": by,
            "last_error": "; ".join(filter(None, (f"given up by {by}", row["last_error"]))),
        }

    with writing(engine) as write:
        _change(write, action_key, decide, now, by, "give-up")


def resend(engine: Engine, action_key: str, by: str, now: datetime | None = None) -> str:
    """Send what was sent once more; returns the key of the action that does it.

    An updatable record is written again with what is known now. What is sent only once (a mail, a message) becomes a
    new action `<key>~2` with the same content, which the other side takes for a new thing: people will get it twice.

    Raises:
        NotPossible: if there is no such action, or it has not been sent.
    """

    def decide(row: Any) -> dict[str, Any]:
        if row["status"] != SENT:
            raise NotPossible(f"{action_key} is {row['status']}, not sent; to have it tried: retry")
        return _AGAIN if row["kind"] in UPDATABLE else {}

    with writing(engine) as write:
        row = _change(write, action_key, decide, now, by, "resend")
        return action_key if row["kind"] in UPDATABLE else _copy(write, row, now or datetime.now(UTC))


def _copy(write: Write, row: Any, now: datetime) -> str:
    """A new action with the content of one that was sent."""
    stem = actions.c.action_key.startswith(f"{row['action_key']}~", autoescape=True)
    number = 2 + (write.connection.execute(select(func.count()).where(stem)).scalar() or 0)
    fresh = {
        "action_key": copy_key(row["action_key"], number), "due_key": copy_key(row["due_key"], number), "attempts": 0,
        "external_id": None, "stopped_at": None, "sent_at": None, "created_at": now, "updated_at": now,
        "change_number": write.number,
    }  # fmt: skip
    write.connection.execute(insert(actions).values(**{**row, **_AGAIN, **fresh}))
    return str(fresh["action_key"])


def _change(
    write: Write,
    action_key: str,
    decide: Callable[[Any], dict[str, Any]],
    now: datetime | None,
    by: str,
    did: str,
) -> Any:
    """Write what is decided of a row, and who wanted it; the row as it was before."""
    mine = actions.c.action_key == action_key
    row = write.connection.execute(select(actions).where(mine)).mappings().first()
    if row is None:
        raise NotPossible(f"there is no action {action_key!r}")
    moment = now or datetime.now(UTC)
    values = {"updated_at": moment, "change_number": write.number} | decide(row)
    write.connection.execute(update(actions).where(mine).values(**values))
    count = select(func.count()).where(interventions.c.action_key == action_key)
    number = 1 + (write.connection.execute(count).scalar() or 0)
    write.connection.execute(
        insert(interventions).values(action_key=action_key, number=number, at=moment, by=by, did=did)
    )
    return row
