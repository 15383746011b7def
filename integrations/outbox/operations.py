"""What a person may do to an action: retry, give up, resend. A row of `interventions` says who did it."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine, func, insert, select, update

from integrations.outbox import circuit_breaker
from integrations.outbox.engine import Write, writing
from integrations.outbox.enqueue import forget_routing
from integrations.outbox.keys import copy_key
from integrations.outbox.schema import SENT, UPDATABLE, SkipReason, actions, interventions
from integrations.outbox.transitions import FINAL, Event, Row, Values, change, new_row

UNKNOWN = "unknown"
_MAY_RETRY = FINAL | {SkipReason.HELD_BACK}


class NotPossible(ValueError):
    """The action does not exist, or is in a state that this cannot be done to."""


def retry(engine: Engine, action_key: str, now: datetime | None = None, by: str = UNKNOWN) -> None:
    """Make an action due at once, whatever its age, and end a stop of its destination; a sent one only if updatable.

    Raises:
        NotPossible: if there is no such action, if it was sent and is of a kind that is sent once, or if it
            lacks what it needs (it was skipped for another reason than its age or a limit).
    """

    def decide(row: Row) -> Values:
        if row["sent_at"] is not None and row["kind"] not in UPDATABLE:
            raise NotPossible(f"{action_key} was sent, and a {row['kind']} is sent only once")
        if row["skip_reason"] is not None and row["skip_reason"] not in _MAY_RETRY:
            raise NotPossible(
                f"{action_key} was skipped: {row['last_error']}; it goes out when that is mended"
            )
        return change(Event.RETRY, row)

    with writing(engine) as write:
        row = _change(write, action_key, decide, now, by, "retry")
        # Who retries believes that it is mended; if it is not, the first try stops the destination again.
        circuit_breaker.end(write, row["channel"], row["destination"])
        forget_routing(write, row["channel"])


def give_up(engine: Engine, action_key: str, by: str, now: datetime | None = None) -> None:
    """Close an action for good; only `retry` opens it again.

    Raises:
        NotPossible: if there is no such action, or it has been sent.
    """

    def decide(row: Row) -> Values:
        if row["status"] == SENT:
            raise NotPossible(f"{action_key} has been sent; there is nothing to give up")
        text = "; ".join(filter(None, (f"given up by {by}", row["last_error"])))
        return change(Event.CLOSE, row, given_up_by=by, last_error=text)

    with writing(engine) as write:
        _change(write, action_key, decide, now, by, "give-up")


def resend(engine: Engine, action_key: str, by: str, now: datetime | None = None) -> str:
    """Send what was sent once more; returns the key of the action that does it.

    An updatable record is written again with what is known now. What is sent only once (a mail, a message) becomes a
    new action `<key>~2` with the same content, which the other side takes for a new thing: people will get it twice.

    Raises:
        NotPossible: if there is no such action, or it has not been sent.
    """

    def decide(row: Row) -> Values:
        if row["status"] != SENT:
            raise NotPossible(f"{action_key} is {row['status']}, not sent; to have it tried: retry")
        return change(Event.RESEND, row) if row["kind"] in UPDATABLE else {}

    with writing(engine) as write:
        row = _change(write, action_key, decide, now, by, "resend")
        return action_key if row["kind"] in UPDATABLE else _copy(write, row, now or datetime.now(UTC))


def _copy(write: Write, row: Row, now: datetime) -> str:
    """A new action with the content of one that was sent."""
    stem = actions.c.action_key.startswith(f"{row['action_key']}~", autoescape=True)
    number = 2 + (write.connection.execute(select(func.count()).where(stem)).scalar() or 0)
    key = copy_key(row["action_key"], number)
    values = new_row(
        row,
        change(Event.RESEND),
        action_key=key,
        due_key=copy_key(row["due_key"], number),
        destination=row["destination"],
        now=now,
        number=write.number,
    )
    write.connection.execute(insert(actions).values(**values))
    return key


def _change(
    write: Write,
    action_key: str,
    decide: Callable[[Row], Values],
    now: datetime | None,
    by: str,
    did: str,
) -> Row:
    """Write what is decided of a row, and who wanted it; the row as it was before."""
    is_row = actions.c.action_key == action_key
    row = write.connection.execute(select(actions).where(is_row)).mappings().first()
    if row is None:
        raise NotPossible(f"there is no action {action_key!r}")
    moment = now or datetime.now(UTC)
    values = {"updated_at": moment, "change_number": write.number} | decide(row)
    write.connection.execute(update(actions).where(is_row).values(**values))
    count = select(func.count()).where(interventions.c.action_key == action_key)
    number = 1 + (write.connection.execute(count).scalar() or 0)
    write.connection.execute(
        insert(interventions).values(action_key=action_key, number=number, at=moment, by=by, did=did)
    )
    return row
