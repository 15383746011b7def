"""Following a changed configuration: open rows that have made nothing yet go where the routes say now.

Runs before a pass over a channel, and reads the rows only when the configuration is another than in the pass before.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, exists, insert, not_, or_, select, update

from integrations.config import IntegrationSettings
from integrations.outbox.engine import Write, reading, writing
from integrations.outbox.enqueue import placed
from integrations.outbox.keys import is_copy, row_key
from integrations.outbox.models import Action, DueAction
from integrations.outbox.placement import NOT_ROUTED, facts_of, place
from integrations.outbox.queue import UNSETTLED, as_action
from integrations.outbox.schema import PENDING, SKIPPED, actions, pauses, watermarks
from integrations.routes import Routes, destinations, routes

_NAME = "destinations:{}"


def follow(
    engine: Engine,
    channel: str,
    settings: IntegrationSettings,
    now: datetime,
    only: Sequence[str] | None = None,
) -> None:
    """Place the open rows of a channel anew if the configuration changed; `only`: all there. Raises BadRoutes."""
    known = routes(settings)
    told = _configuration(channel, settings, known, only)
    if not only and _watermark(engine, _NAME.format(channel)) == told:
        return
    with writing(engine) as write:
        _place_all(write, channel, settings, known, now, only)
        name = _NAME.format(channel)
        keep = update(watermarks).where(watermarks.c.name == name).values(value=told)
        if write.connection.execute(keep).rowcount == 0:
            write.connection.execute(insert(watermarks).values(name=name, value=told))


@contextmanager
def followed(
    engine: Engine, channel: str, settings: IntegrationSettings, now: datetime
) -> Iterator[Connection]:
    """The outbox as `follow` would leave it, to be read; nothing of that is kept. Raises BadRoutes.

    Writers wait meanwhile if the configuration changed, so nothing is asked of a destination in here.
    """
    known = routes(settings)
    if _watermark(engine, _NAME.format(channel)) == _configuration(channel, settings, known, None):
        with reading(engine) as connection:
            yield connection
        return
    with writing(engine, is_kept=False) as write:
        _place_all(write, channel, settings, known, now)
        yield write.connection


def ahead(engine: Engine, action: Action, settings: IntegrationSettings, now: datetime) -> Action:
    """An action as the next pass would find it. Raises BadRoutes."""
    with followed(engine, action.channel, settings, now) as connection:
        mine = select(actions).where(actions.c.action_key == action.action_key)
        return as_action(connection.execute(mine).mappings().one())


def not_routed(where: Engine | Connection, channel: str) -> dict[str, Action]:
    """Rows of a channel that the configuration has no destination for, by key."""
    dropped = and_(actions.c.status == SKIPPED, actions.c.last_error == NOT_ROUTED)
    query = select(actions).where(actions.c.channel == channel, dropped)
    with reading(where) as connection:
        return {row["action_key"]: as_action(row) for row in connection.execute(query).mappings()}


def forget(write: Write, channel: str) -> None:
    """Have the next pass look at every open row, because one that was closed is open again."""
    write.connection.execute(delete(watermarks).where(watermarks.c.name == _NAME.format(channel)))


def _place_all(
    write: Write,
    channel: str,
    settings: IntegrationSettings,
    known: Routes,
    now: datetime,
    only: Sequence[str] | None = None,
) -> None:
    is_open = or_(actions.c.status.in_(UNSETTLED), actions.c.last_error == NOT_ROUTED)
    concerned = select(actions.c.due_key).where(actions.c.channel == channel, is_open)
    query = select(actions).where(actions.c.due_key.in_(concerned))
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in write.connection.execute(query).mappings():
        rows[row["due_key"]].append(dict(row))
    for mine in rows.values():
        wanted = tuple(only or destinations(channel, _facts(mine[0]), settings, known))
        _place(write, mine, wanted, now)
    _end_idle_pauses(write, channel)


def _end_idle_pauses(write: Write, channel: str) -> None:
    """A destination that nothing goes to any more cannot show that it works again."""
    waiting = exists().where(
        actions.c.channel == channel,
        actions.c.destination == pauses.c.destination,
        actions.c.status.in_(UNSETTLED),
    )
    write.connection.execute(delete(pauses).where(pauses.c.channel == channel, not_(waiting)))


def _place(write: Write, rows: list[dict[str, Any]], wanted: Sequence[str], now: datetime) -> None:
    changes: list[dict[str, Any]] = []
    written = {"updated_at": now, "change_number": write.number}
    for row in rows:
        if row["last_error"] == NOT_ROUTED and row["status"] == SKIPPED and row["destination"] in wanted:
            row |= {"status": PENDING, "last_error": None}
            again = {"status": PENDING, "last_error": None, **written}
            changes.append({"action_key": row["action_key"], **again})
    first = rows[0]
    places = place(first["due_key"], first["kind"], wanted, rows)
    changes += placed(places.moved, places.dropped, now, write.number)
    for values in changes:
        mine = actions.c.action_key == values.pop("action_key")
        write.connection.execute(update(actions).where(mine).values(**values))
    model = next((row for row in rows if row["status"] in UNSETTLED), None)
    for name in places.new if model and not is_copy(first["due_key"]) else ():
        fresh = {
            "action_key": row_key(first["due_key"], name, is_first=False), "destination": name, "status": PENDING,
            "attempts": 0, "failures": 0, "next_attempt_at": None, "external_id": None, "last_error": None,
            "given_up_by": None, "stopped_at": None, "begun": 0, "refused_in_row": False, "created_at": now,
            "sent_at": None, **written,
        }  # fmt: skip
        write.connection.execute(insert(actions).values(**{**(model or {}), **fresh}))


def _configuration(
    channel: str, settings: IntegrationSettings, known: Routes, only: Sequence[str] | None
) -> str:
    if only:
        return f"only {','.join(only)}"
    routed = [route.model_dump_json() for route in known.route if route.channel == channel]
    return " ".join([",".join(settings.destinations_of(channel)), *routed])


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    kept = as_action(row)
    origin = (kept.due_key, kept.channel, kept.kind, kept.source, kept.call_id)
    return facts_of(DueAction(*origin, kept.payload, facts=kept.facts))


def _watermark(engine: Engine, name: str) -> str | None:
    with reading(engine) as connection:
        return connection.execute(select(watermarks.c.value).where(watermarks.c.name == name)).scalar()
