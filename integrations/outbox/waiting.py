"""What waits and why: the reason of one action, and a sum for each destination. Reads only.

What needs a person belongs to `problems`; whether a person has paused a channel is known to the floor above.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, func, select

from integrations.outbox.engine import reading
from integrations.outbox.models import Action, Pause
from integrations.outbox.queue import UNSETTLED
from integrations.outbox.schema import RETRYING, actions


@dataclass(frozen=True)
class Waiting:
    """The unsettled actions of a channel at one destination, and why they are not done yet."""

    channel: str
    destination: str
    actions: int
    reason: str


def waiting(engine: Engine, pauses: Sequence[Pause]) -> list[Waiting]:
    """A row for each destination with unsettled actions, by channel; `pauses` are all there are."""
    group = (actions.c.channel, actions.c.destination)
    retrying = actions.c.status == RETRYING
    query = (
        select(
            *group,
            func.count(),
            func.count().filter(retrying),
            func.min(actions.c.next_attempt_at).filter(retrying),
            func.max(actions.c.last_error).filter(retrying),
        )
        .where(actions.c.status.in_(UNSETTLED))
        .group_by(*group)
        .order_by(*group)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return [Waiting(row[0], row[1], row[2], _of_group(pauses, *row._tuple())) for row in rows]


def reason(engine: Engine, action: Action, pauses: Sequence[Pause]) -> str:
    """Why an unsettled action is not done yet; empty for one that is settled."""
    if action.status not in UNSETTLED:
        return ""
    pause = _pause(pauses, action.channel, action.destination)
    if pause is not None:
        return _stopped(pause)
    if action.status == RETRYING and action.next_attempt_at is not None:
        return f"it is tried again at {_at(action.next_attempt_at)}: {action.last_error}"
    if action.parent_key is not None:
        parent = select(actions.c.status, actions.c.external_id).where(
            actions.c.action_key == action.parent_key
        )
        with reading(engine) as connection:
            row = connection.execute(parent).first()
        if row is not None and row[1] is None and row[0] in UNSETTLED:
            return f"{action.parent_key} goes first"
    return "the next pass sends it: aftercall up, or aftercall run"


def _of_group(
    pauses: Sequence[Pause],
    channel: str,
    destination: str,
    _: int,
    failed: int,
    again: datetime | None,
    error: str | None,
) -> str:
    pause = _pause(pauses, channel, destination)
    if pause is not None:
        return _stopped(pause)
    if failed and again is not None:
        return f"{failed} failed, and the next of them is tried at {_at(again)}; one of the errors: {error}"
    return "the next pass sends them: aftercall up, or aftercall run"


def _pause(pauses: Sequence[Pause], channel: str, destination: str) -> Pause | None:
    return next((one for one in pauses if (one.channel, one.destination) == (channel, destination)), None)


def _stopped(pause: Pause) -> str:
    return f"{pause.destination} has stopped, and is tried again at {_at(pause.until)}: {pause.reason}"


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
