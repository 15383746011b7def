"""What a person may do to an action: try it again, or give it up."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select, update

from integrations.outbox import circuit
from integrations.outbox.deciding import TOO_OLD, is_held_back
from integrations.outbox.engine import writing
from integrations.outbox.schema import DEAD, PENDING, SENT, SKIPPED, UPDATABLE, actions


class NotPossible(ValueError):
    """The action does not exist, or is in a state that this cannot be done to."""


def retry(engine: Engine, action_key: str, now: datetime | None = None) -> None:
    """Make an action due at once, whatever its age, and end a pause of its channel; a sent one only if updatable.

    Raises:
        NotPossible: if there is no such action, if it was sent and is of a kind that is sent once, or if it
            lacks what it needs (it was skipped for another reason than its age).
    """

    def decide(row: Any) -> dict[str, Any]:
        if row["sent_at"] is not None and row["kind"] not in UPDATABLE:
            raise NotPossible(f"{action_key} was sent, and a {row['kind']} is sent only once")
        if row["status"] == SKIPPED and row["last_error"] != TOO_OLD and not is_held_back(row):
            raise NotPossible(
                f"{action_key} was skipped: {row['last_error']}; it goes out when that is mended"
            )
        return {
            "status": PENDING,
            "failures": 0,
            "next_attempt_at": None,
            "last_error": None,
            "given_up_by": None,
        }

    _change(engine, action_key, decide, now, resume=True)


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

    _change(engine, action_key, decide, now)


def _change(
    engine: Engine, action_key: str, decide: Any, now: datetime | None, *, resume: bool = False
) -> None:
    mine = actions.c.action_key == action_key
    with writing(engine) as write:
        row = write.connection.execute(select(actions).where(mine)).mappings().first()
        if row is None:
            raise NotPossible(f"there is no action {action_key!r}")
        values = {"updated_at": now or datetime.now(UTC), "change_number": write.number}
        write.connection.execute(update(actions).where(mine).values(**values, **decide(row)))
        if resume:
            # Who retries believes that it is mended; if it is not, the first try stops the channel again.
            circuit.end(write, row["channel"])
