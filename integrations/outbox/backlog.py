"""Which actions of a channel are to be done now, and in which order. Reads only."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, case, func, or_, select

from integrations.outbox import payloads
from integrations.outbox.engine import reading
from integrations.outbox.records import Action, Backlog
from integrations.outbox.schema import PENDING, RETRYING, SENDING, SENT, actions

UNSETTLED = (PENDING, SENDING, RETRYING)
# A note hangs on its contact, so contacts go first; every other kind is a row of its own.
_RANK = case((actions.c.kind == "note", 1), (actions.c.kind == "task", 2), else_=0)


def is_due(now: datetime) -> ColumnElement[bool]:
    """Pending, or retrying with its wait over. `sending` is due too: whoever wrote it is gone."""
    waited = or_(actions.c.next_attempt_at.is_(None), actions.c.next_attempt_at <= now)
    return or_(actions.c.status.in_((PENDING, SENDING)), and_(actions.c.status == RETRYING, waited))


def due_keys(engine: Engine, channel: str, now: datetime, limit: int | None) -> list[str]:
    """Keys to be tried, contacts before notes before tasks, then the oldest first."""
    age = func.coalesce(actions.c.due_at, actions.c.created_at)
    query = (
        select(actions.c.action_key)
        .where(actions.c.channel == channel, is_due(now))
        .order_by(_RANK, age, actions.c.action_key)
        .limit(limit)
    )
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def load_due(engine: Engine, keys: Iterable[str], now: datetime) -> list[Action]:
    """The actions of these keys that are still due, in the keys' order."""
    wanted = list(keys)
    with reading(engine) as connection:
        rows = connection.execute(
            select(actions).where(actions.c.action_key.in_(wanted), is_due(now))
        ).mappings()
        found = {row["action_key"]: as_action(row) for row in rows}
    return [found[key] for key in wanted if key in found]


def contacts(engine: Engine, keys: Iterable[str]) -> dict[str, tuple[str, str | None, str]]:
    """Status, external id and destination of these contacts, by action key."""
    columns = (actions.c.action_key, actions.c.status, actions.c.external_id, actions.c.destination)
    with reading(engine) as connection:
        rows = connection.execute(select(*columns).where(actions.c.action_key.in_(list(keys))))
        return {row[0]: (row[1], row[2], row[3]) for row in rows}


def backlog(engine: Engine, channel: str, now: datetime) -> Backlog:
    """How much a channel has to do, now and later."""
    due = is_due(now)
    query = select(
        func.count().filter(due),
        func.count(),
        func.min(actions.c.next_attempt_at).filter(actions.c.status == RETRYING),
    ).where(actions.c.channel == channel, actions.c.status.in_(UNSETTLED))
    with reading(engine) as connection:
        ready, every, soonest = connection.execute(query).one()
    return Backlog(due=ready, later=every - ready, next_attempt_at=soonest)


def as_action(row: Mapping[Any, Any]) -> Action:
    """A row of `actions` as a record."""
    values = {str(name): row[name] for name in row if name != "change_number"}
    return Action(**(values | {"payload": payloads.decode(values["payload"])}))


def is_settled(status: str, external_id: str | None) -> bool:
    """Whether a contact no longer holds up its notes: it exists in the system, or will not come to exist."""
    return external_id is not None or status == SENT or status not in UNSETTLED
