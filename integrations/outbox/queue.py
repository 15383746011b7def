"""Which actions of a channel are to be done now, in which order, and what a try of one has to know. Reads only."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    and_,
    bindparam,
    case,
    exists,
    func,
    not_,
    or_,
    select,
)

from integrations.config import IntegrationSettings
from integrations.destinations import Earlier, Linked, UnknownDestination, open_destination
from integrations.errors import DestinationUnavailable
from integrations.outbox.engine import reading
from integrations.outbox.models import Action, Backlog
from integrations.outbox.schema import (
    PENDING,
    RETRYING,
    SENDING,
    UNSETTLED,
    SkipReason,
    UtcTime,
    actions,
    decode_json,
    pauses,
)

LINKED = ("ticket", "contact")
"""Kinds whose records a message leads to."""
_PARENT = actions.alias("parent")
# A note belongs to its contact, so contacts go first; every other kind stands alone.
_RANK = case((actions.c.kind == "note", 1), (actions.c.kind == "task", 2), else_=0)


@dataclass(frozen=True)
class Parent:
    """What is known of an action that others hang on."""

    status: str
    external_id: str | None

    @property
    def is_settled(self) -> bool:
        """True if it holds up nothing: its record exists, or will not come to exist."""
        return self.external_id is not None or self.status not in UNSETTLED


def is_due(now: datetime | ColumnElement[datetime], table: FromClause = actions) -> ColumnElement[bool]:
    """Pending, or retrying with its wait over. `sending` is due too: whoever wrote it is gone."""
    waited = or_(table.c.next_attempt_at.is_(None), table.c.next_attempt_at <= now)
    return or_(table.c.status.in_((PENDING, SENDING)), and_(table.c.status == RETRYING, waited))


# Asked once for every action: to build them each time costs more than to run them.
_STILL_DUE = select(actions).where(
    actions.c.action_key.in_(bindparam("keys", expanding=True)), is_due(bindparam("now", type_=UtcTime()))
)
_EARLIER = (
    select(actions.c.due_key, actions.c.external_id, actions.c.payload)
    .where(
        actions.c.call_id == bindparam("call_id"),
        actions.c.source == bindparam("source"),
        actions.c.channel == bindparam("channel"),
        actions.c.destination == bindparam("destination"),
        actions.c.external_id.is_not(None),
        actions.c.action_key != bindparam("key"),
    )
    .order_by(actions.c.sent_at, actions.c.action_key)
)


def may_be_tried(now: datetime) -> ColumnElement[bool]:
    """Due, and not held up by a parent, or a task by its call's note, that is waiting for its own retry."""
    waits = and_(
        _PARENT.c.destination == actions.c.destination,
        _PARENT.c.status.in_(UNSETTLED),
        _PARENT.c.external_id.is_(None),
        not_(is_due(now, _PARENT)),
    )
    contact_waits = exists().where(_PARENT.c.due_key == actions.c.parent_key, waits)
    note_waits = exists().where(*_is_note_of(actions, _PARENT), waits)
    is_free = and_(not_(contact_waits), or_(actions.c.kind != "task", not_(note_waits)))
    return and_(is_due(now), or_(actions.c.parent_key.is_(None), is_free))


def _is_note_of(task: FromClause, note: FromClause) -> tuple[ColumnElement[bool], ...]:
    return (
        note.c.kind == "note",
        note.c.call_id == task.c.call_id,
        note.c.source == task.c.source,
        note.c.parent_key == task.c.parent_key,
    )


def due_keys(
    engine: Engine | Connection, channel: str, now: datetime, limit: int | None
) -> dict[str, list[tuple[str, str]]]:
    """What is to be tried at each destination: keys, each with the key of its chain.

    Chains that the destination never stopped at come first, so that each probe is another one; then contacts before
    notes before tasks, then the oldest. Actions of one chain are not to overtake each other: those of a contact, and
    those of a call.
    """
    age = func.coalesce(actions.c.due_at, actions.c.created_at)
    on_contact = case((actions.c.kind == "contact", actions.c.due_key), else_=actions.c.parent_key)
    chain = func.coalesce(on_contact, actions.c.source + ":" + actions.c.call_id, actions.c.action_key)
    stopped = func.max(actions.c.stopped_at).over(partition_by=(actions.c.destination, chain))
    query = (
        select(actions.c.destination, actions.c.action_key, chain)
        .where(actions.c.channel == channel, may_be_tried(now))
        .order_by(stopped.nulls_first(), _RANK, age, actions.c.action_key)
        .limit(limit)
    )
    keys: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with reading(engine) as connection:
        for row in connection.execute(query):
            keys[row[0]].append((row[1], row[2]))
    return keys


def load_due(engine: Engine | Connection, keys: Iterable[str], now: datetime) -> list[Action]:
    """The actions of these keys that are still due, in the keys' order."""
    wanted = list(keys)
    with reading(engine) as connection:
        rows = connection.execute(_STILL_DUE, {"keys": wanted, "now": now}).mappings()
        due = {row["action_key"]: as_action(row) for row in rows}
    return [due[key] for key in wanted if key in due]


def parents(engine: Engine, keys: Iterable[str], destination: str) -> dict[str, Parent]:
    """The actions that others hang on at a destination, by the key that they are known by."""
    columns = (actions.c.due_key, actions.c.status, actions.c.external_id)
    query = select(*columns).where(actions.c.due_key.in_(list(keys)), actions.c.destination == destination)
    with reading(engine) as connection:
        return {row[0]: Parent(row[1], row[2]) for row in connection.execute(query)}


def notes_before(engine: Engine, task: Action, destination: str) -> dict[str, Parent]:
    """The note of a task's call at a destination, by its key; it goes first."""
    columns = (_PARENT.c.due_key, _PARENT.c.status, _PARENT.c.external_id)
    query = select(*columns).where(
        *_is_note_of(actions, _PARENT),
        _PARENT.c.destination == destination,
        actions.c.action_key == task.action_key,
    )
    with reading(engine) as connection:
        return {row[0]: Parent(row[1], row[2]) for row in connection.execute(query)}


def earlier_records(engine: Engine, action: Action, destination: str) -> tuple[Earlier, ...]:
    """The records that a destination has on the channel for the same call, the oldest first."""
    if action.call_id is None:
        return ()
    asked = {
        "call_id": action.call_id, "source": action.source, "channel": action.channel, "destination": destination,
        "key": action.action_key,
    }  # fmt: skip
    with reading(engine) as connection:
        rows = connection.execute(_EARLIER, asked)
        return tuple(Earlier(row[0], row[1], decode_json(row[2])) for row in rows)


def links(engine: Engine, action: Action, settings: IntegrationSettings) -> dict[str, str]:
    """By kind, the address of the first record for the action's call that has one. Asks no system.

    Nothing waits for a link: a record that is not there yet, or has no address, is left out.
    """
    if action.call_id is None:
        return {}
    addresses: dict[str, str] = {}
    for channel, destination, kind, external_id in _linked(engine, action):
        if kind not in addresses:
            address = _address(channel, destination, kind, external_id, settings)
            addresses |= {kind: address} if address else {}
    return addresses


def _linked(engine: Engine, action: Action) -> list[tuple[str, str, str, str]]:
    """Channel, destination, kind and id of tickets and contacts, the oldest first.

    A contact belongs to several calls: this one's is the one that its note or task hangs on.
    """
    of_call = and_(actions.c.source == action.source, actions.c.call_id == action.call_id)
    contacts = select(actions.c.parent_key).where(of_call, actions.c.parent_key.is_not(None))
    query = (
        select(actions.c.channel, actions.c.destination, actions.c.kind, actions.c.external_id)
        .where(
            actions.c.kind.in_(LINKED),
            actions.c.external_id.is_not(None),
            or_(of_call, actions.c.due_key.in_(contacts)),
        )
        .order_by(actions.c.sent_at, actions.c.action_key)
    )
    with reading(engine) as connection:
        return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]


def _address(
    channel: str, destination: str, kind: str, external_id: str, settings: IntegrationSettings
) -> str | None:
    with suppress(DestinationUnavailable, UnknownDestination):
        target = open_destination(channel, settings, destination)
        try:
            return target.link(kind, external_id) if isinstance(target, Linked) else None
        finally:
            getattr(target, "close", lambda: None)()
    return None


def got_through_since(engine: Engine, channel: str, destination: str, moment: datetime) -> bool:
    """True if anything was sent to a destination after this moment (UTC)."""
    is_meant = and_(actions.c.channel == channel, actions.c.destination == destination)
    query = select(actions.c.action_key).where(is_meant, actions.c.sent_at > moment).limit(1)
    with reading(engine) as connection:
        return connection.execute(query).first() is not None


def backlog(engine: Engine, channel: str, now: datetime) -> Backlog:
    """How much a channel has to do, now and later; of a destination that has stopped, nothing is due now."""
    is_of_action = and_(pauses.c.channel == actions.c.channel, pauses.c.destination == actions.c.destination)
    stopped = and_(is_of_action, pauses.c.until > now)
    goes = pauses.c.until.is_(None)
    waits = func.min(actions.c.next_attempt_at).filter(actions.c.status == RETRYING, goes)
    oldest = func.min(func.coalesce(actions.c.due_at, actions.c.created_at))
    query = (
        select(
            func.count().filter(may_be_tried(now), goes),
            func.count(),
            waits,
            func.min(pauses.c.until),
            oldest,
        )
        .select_from(actions.outerjoin(pauses, stopped))
        .where(actions.c.channel == channel, actions.c.status.in_(UNSETTLED))
    )
    with reading(engine) as connection:
        row = connection.execute(query).one()
    later = [moment for moment in (row[2], row[3]) if moment]
    return Backlog(row[0], row[1] - row[0], next_attempt_at=min(later, default=None), oldest_due_at=row[4])


def not_routed(where: Engine | Connection, channel: str) -> dict[str, Action]:
    """Actions of a channel that the configuration has no destination for, by key."""
    query = select(actions).where(
        actions.c.channel == channel, actions.c.skip_reason == SkipReason.NOT_ROUTED.value
    )
    with reading(where) as connection:
        return {row["action_key"]: as_action(row) for row in connection.execute(query).mappings()}


def as_action(row: Mapping[Any, Any]) -> Action:
    """A row of `actions` as a record."""
    values = {str(name): row[name] for name in row if name != "change_number"}
    facts = decode_json(values["facts"]) if values["facts"] else {}
    reason = SkipReason(values["skip_reason"]) if values["skip_reason"] else None
    decoded = {"payload": decode_json(values["payload"]), "facts": facts, "skip_reason": reason}
    return Action(**(values | decoded))
