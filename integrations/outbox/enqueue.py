"""Due actions become rows, and rows go where the configuration leads them now. Nothing is sent from here.

This module reads rows, asks `transitions` and `placement`, and writes the values, set by set in one transaction: a kill
leaves all of it or nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    not_,
    or_,
    select,
    update,
)

from integrations.config import IntegrationSettings
from integrations.outbox.engine import Write, reading, watermark_of, write_watermark, writing
from integrations.outbox.keys import due_key_of, is_copy, row_key
from integrations.outbox.limits import Mail, MailLimits, mail_of
from integrations.outbox.models import Action, DueAction, EnqueueReport
from integrations.outbox.placement import Places, facts_of, place
from integrations.outbox.queue import as_action
from integrations.outbox.schema import UNSETTLED, SkipReason, actions, encode_json, pauses, watermarks
from integrations.outbox.transitions import (
    CONTENT,
    UNCHANGED,
    EnqueueResult,
    Event,
    Transition,
    Values,
    change,
    enqueue_known,
    enqueue_new,
    new_row,
    skip,
    too_many,
)
from integrations.routes import Routes, destinations, routes

# Bound variables per statement: well under SQLite's 32,766 and Postgres's 65,535.
SET_SIZE = 1_000

_WRITTEN = (
    *CONTENT, "status", "skip_reason", "last_error", "failures", "next_attempt_at", "updated_at", "change_number",
)  # fmt: skip
_UPDATE = (
    update(actions)
    .where(actions.c.action_key == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _WRITTEN})
)
_KNOWN = (
    "action_key", "due_key", "destination", "external_id", "payload_hash", "status", "failures", "next_attempt_at",
    "skip_reason", "last_error", "given_up_by", "sent_at", "due_at", "begun", "mailbox",
)  # fmt: skip
_CONFIGURATION = "destinations:{}"
"""Name of the watermark that holds the configuration by which a channel's rows were placed."""


def enqueue_in(
    write: Write,
    rows: Iterable[DueAction],
    now: datetime,
    settings: IntegrationSettings,
    known: Routes | None = None,
) -> EnqueueReport:
    """Insert what is new, change what changed, leave the rest; of equal keys the last counts. Raises BadRoutes.

    `known`: routes instead of those of the settings.
    """
    batch_writer = _Enqueue(write, now, settings, known or routes(settings))
    remaining = iter(rows)
    while batch := tuple(islice(remaining, SET_SIZE)):
        batch_writer.add({due_key_of(row.action_key): row for row in batch})
    return EnqueueReport(**{result.value: batch_writer.results[result] for result in EnqueueResult})


class _Enqueue:
    """One call of `enqueue_in`: what it has to write of a set, and what became of all due actions."""

    def __init__(self, write: Write, now: datetime, settings: IntegrationSettings, known: Routes) -> None:
        self.write, self.now, self.settings, self.routes = write, now, settings, known
        self.limits = MailLimits(write.connection, settings)
        self.results: Counter[EnqueueResult] = Counter()
        self.new: list[Values] = []
        self.changed: list[Values] = []
        self.placed: list[Values] = []

    def add(self, due: Mapping[str, DueAction]) -> None:
        """Bring the rows of these actions, by due key, up to date."""
        query = select(*(actions.c[name] for name in _KNOWN)).where(actions.c.due_key.in_(due))
        known: dict[str, list[Values]] = defaultdict(list)
        for row in self.write.connection.execute(query).mappings():
            known[row["due_key"]].append({**row})
        for due_key, action in due.items():
            self._add_one(due_key, action, known.get(due_key, []))
        if self.new:
            self.write.connection.execute(insert(actions), self.new)
        if self.changed:
            self.write.connection.execute(_UPDATE, self.changed)
        _update_each(self.write, self.placed)
        self.new, self.changed, self.placed = [], [], []
        self.limits.forget()

    def _add_one(self, due_key: str, action: DueAction, rows: list[Values]) -> None:
        mail = mail_of(action, due_key, self.now)
        wanted = destinations(action.channel, facts_of(action), self.settings, self.routes)
        content = _content(action, mail)
        for row in rows:
            transition = self._known(action, content["payload_hash"], row, mail, wanted)
            self.results[transition.result] += 1
            if transition.result is not EnqueueResult.UNCHANGED:
                values = content | {"due_at": action.due_at or row["due_at"], **transition.values}
                values |= {"updated_at": self.now, "change_number": self.write.number}
                self.changed.append(
                    {"key": row["action_key"]} | {f"new_{name}": values[name] for name in _WRITTEN}
                )
                row |= transition.values
        places = place(due_key, action.kind, wanted, rows)
        self.placed += _placed(places, self.now, self.write.number)
        transition = enqueue_new(action, self.now, self.settings)
        if mail and not rows and transition.result is EnqueueResult.CREATED:
            transition = self._limited(mail, transition)
        for name in places.new if not rows or transition.result is EnqueueResult.CREATED else ():
            self.results[transition.result] += 1
            key = row_key(due_key, name, is_first=not rows and name == places.new[0])
            self.new.append(
                new_row(
                    {"channel": action.channel, "kind": action.kind, **content},
                    transition.values,
                    action_key=key,
                    due_key=due_key,
                    destination=name,
                    now=self.now,
                    number=self.write.number,
                )
            )

    def _known(
        self, action: DueAction, digest: str, row: Values, mail: Mail | None, wanted: Sequence[str]
    ) -> Transition:
        """What becomes of a row that is there already."""
        if row["skip_reason"] == SkipReason.NOT_ROUTED and row["destination"] not in wanted:
            return UNCHANGED
        transition = enqueue_known(action, digest, row, self.now, self.settings)
        if mail and _begins_to_count(row, mail, transition):
            return self._limited(mail, transition)
        return transition

    def _limited(self, mail: Mail, transition: Transition) -> Transition:
        """The transition, or that the mail is one too many."""
        if not self.limits.allow(mail):
            return too_many(transition)
        self.limits.note(mail)
        return transition


def _content(action: DueAction, mail: Mail | None) -> Values:
    """The columns that a due action brings."""
    text, digest = encode_json(action.payload)
    return {
        "parent_key": _parent(action),
        "source": action.source,
        "call_id": action.call_id,
        "payload": text,
        "payload_hash": digest,
        "facts": encode_json(action.facts)[0] if action.facts else None,
        "due_at": action.due_at,
        "mailbox": mail.mailbox if mail else None,
        "mail_domain": mail.domain if mail else None,
    }


def _begins_to_count(row: Values, mail: Mail, transition: Transition) -> bool:
    """True if a mail that did not count is to be sent now, or goes to somebody else than before."""
    was_counted = row["status"] in UNSETTLED and row["mailbox"] == mail.mailbox
    return transition.values.get("status") in UNSETTLED and not was_counted


def _parent(action: DueAction) -> str | None:
    # Notes and tasks are on the contact, whose key is the phone.
    on_contact = action.channel == "crm" and action.kind in ("note", "task")
    return due_key_of(f"contact:{action.payload.get('phone')}") if on_contact else None


def reroute(
    engine: Engine,
    channel: str,
    settings: IntegrationSettings,
    now: datetime,
    only: Sequence[str] | None = None,
) -> None:
    """Place the open rows of a channel anew if the configuration changed since the last time. Raises BadRoutes.

    `only`: all of them go to these destinations.
    """
    known = routes(settings)
    name, configuration = _CONFIGURATION.format(channel), _configuration(channel, settings, known, only)
    if not only and watermark_of(engine, name) == configuration:
        return
    with writing(engine) as write:
        _place_all(write, channel, settings, known, now, only)
        write_watermark(write, name, configuration)


@contextmanager
def rerouted(
    engine: Engine, channel: str, settings: IntegrationSettings, now: datetime
) -> Iterator[Connection]:
    """The outbox as `reroute` would leave it, for reading; nothing of that stays. Raises BadRoutes.

    Writers wait meanwhile if the configuration changed, so nothing may be asked of a destination in here.
    """
    known = routes(settings)
    name, configuration = _CONFIGURATION.format(channel), _configuration(channel, settings, known, None)
    if watermark_of(engine, name) == configuration:
        with reading(engine) as connection:
            yield connection
        return
    with writing(engine, undo=True) as write:
        _place_all(write, channel, settings, known, now)
        yield write.connection


def reroute_preview(engine: Engine, action: Action, settings: IntegrationSettings, now: datetime) -> Action:
    """The action as the next pass would find it. Raises BadRoutes."""
    with rerouted(engine, action.channel, settings, now) as connection:
        query = select(actions).where(actions.c.action_key == action.action_key)
        return as_action(connection.execute(query).mappings().one())


def forget_routing(write: Write, channel: str) -> None:
    """Have the next pass place every open row anew, because one that was closed is open again."""
    name = _CONFIGURATION.format(channel)
    write.connection.execute(delete(watermarks).where(watermarks.c.name == name))


def _place_all(
    write: Write,
    channel: str,
    settings: IntegrationSettings,
    known: Routes,
    now: datetime,
    only: Sequence[str] | None = None,
) -> None:
    is_open = or_(actions.c.status.in_(UNSETTLED), actions.c.skip_reason == SkipReason.NOT_ROUTED.value)
    concerned = select(actions.c.due_key).where(actions.c.channel == channel, is_open)
    query = select(actions).where(actions.c.due_key.in_(concerned))
    rows_by_key: dict[str, list[Values]] = defaultdict(list)
    for row in write.connection.execute(query).mappings():
        rows_by_key[row["due_key"]].append({**row})
    for rows in rows_by_key.values():
        facts = facts_of(as_action(rows[0]))
        wanted = tuple(only or destinations(channel, facts, settings, known))
        _place(write, rows, wanted, now)
    _end_idle_pauses(write, channel)


def _place(write: Write, rows: list[Values], wanted: Sequence[str], now: datetime) -> None:
    """Bring the rows of one action to the destinations that want it now."""
    changes: list[Values] = []
    for row in rows:
        if row["skip_reason"] == SkipReason.NOT_ROUTED and row["destination"] in wanted:
            values = change(Event.DUE, row, updated_at=now, change_number=write.number)
            row |= values
            changes.append({"action_key": row["action_key"], **values})
    first = rows[0]
    places = place(first["due_key"], first["kind"], wanted, rows)
    _update_each(write, [*changes, *_placed(places, now, write.number)])
    model = next((row for row in rows if row["status"] in UNSETTLED), None)
    if model is None or is_copy(first["due_key"]):
        return
    for name in places.new:
        key = row_key(first["due_key"], name, is_first=False)
        values = new_row(
            model,
            change(Event.DUE),
            action_key=key,
            due_key=first["due_key"],
            destination=name,
            now=now,
            number=write.number,
        )
        write.connection.execute(insert(actions).values(**values))


def _placed(places: Places, now: datetime, number: int) -> Iterator[Values]:
    """What to write of rows that go to another destination, or nowhere any more."""
    written = {"updated_at": now, "change_number": number}
    for key, destination in places.moved.items():
        yield {"action_key": key, **change(Event.MOVE, destination=destination), **written}
    for key in places.dropped:
        yield {"action_key": key, **skip(SkipReason.NOT_ROUTED), **written}


def _update_each(write: Write, changes: Iterable[Values]) -> None:
    for values in changes:
        is_row = actions.c.action_key == values.pop("action_key")
        write.connection.execute(update(actions).where(is_row).values(**values))


def _end_idle_pauses(write: Write, channel: str) -> None:
    """End the pauses of destinations that nothing goes to any more: these cannot show that they work again."""
    waiting = exists().where(
        actions.c.channel == channel,
        actions.c.destination == pauses.c.destination,
        actions.c.status.in_(UNSETTLED),
    )
    write.connection.execute(delete(pauses).where(and_(pauses.c.channel == channel, not_(waiting))))


def _configuration(
    channel: str, settings: IntegrationSettings, known: Routes, only: Sequence[str] | None
) -> str:
    if only:
        return f"only {','.join(only)}"
    routed = [route.model_dump_json() for route in known.route if route.channel == channel]
    return " ".join([",".join(settings.destinations_of(channel)), *routed])
