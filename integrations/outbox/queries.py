"""Questions about the ledger: counts, lists, attempts, previews, and what changed since. Reads only."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine, and_, func, or_, select

from integrations.outbox import payloads
from integrations.outbox.engine import reading
from integrations.outbox.keys import due_key_of
from integrations.outbox.models import Action, Attempt, Changes, Count, Intervention, Preview
from integrations.outbox.previews import NAME as PREVIEW
from integrations.outbox.queue import as_action
from integrations.outbox.schema import actions, attempts, interventions, previews

# The contract's columns, in its order: what the warehouse learns about an action.
TOLD = (
    "action_key", "channel", "kind", "source", "call_id", "destination", "payload", "status", "attempts",
    "external_id", "last_error", "due_at", "next_attempt_at", "created_at", "updated_at", "sent_at",
)  # fmt: skip


def counts(engine: Engine, since: datetime | None = None) -> list[Count]:
    """How many actions there are by channel, kind and status; `since`: only those that changed from then on."""
    group = (actions.c.channel, actions.c.kind, actions.c.status)
    query = select(*group, func.count()).group_by(*group).order_by(*group)
    if since is not None:
        query = query.where(actions.c.updated_at >= since)
    with reading(engine) as connection:
        rows = connection.execute(query)
        return [Count(row[0], row[1], row[2], row[3]) for row in rows]


def list_actions(
    engine: Engine, *, since: datetime | None, limit: int, offset: int, **wanted: str | None
) -> list[Action]:
    """Actions whose columns equal what is wanted, the last changed first."""
    query = (
        select(actions)
        .order_by(actions.c.change_number.desc(), actions.c.action_key)
        .limit(limit)
        .offset(offset)
    )
    for name, value in wanted.items():
        if value is not None:
            query = query.where(actions.c[name] == value)
    if since is not None:
        query = query.where(actions.c.updated_at >= since)
    with reading(engine) as connection:
        return [as_action(row) for row in connection.execute(query).mappings()]


def action(engine: Engine, action_key: str) -> Action | None:
    """One action, by its row's key, or by the key of the rule that made it due."""
    rule = and_(actions.c.due_key == due_key_of(action_key), actions.c.action_key != action_key)
    with reading(engine) as connection:
        for condition in (actions.c.action_key == action_key, rule):
            query = select(actions).where(condition).order_by(actions.c.action_key).limit(1)
            if row := connection.execute(query).mappings().first():
                return as_action(row)
    return None


def attempts_of(engine: Engine, action_key: str) -> list[Attempt]:
    """Every try at one action, in order."""
    query = select(attempts).where(attempts.c.action_key == action_key).order_by(attempts.c.number)
    with reading(engine) as connection:
        return [Attempt(**row) for row in connection.execute(query).mappings()]


def interventions_of(engine: Engine, action_key: str) -> list[Intervention]:
    """What people did to one action, in order."""
    mine = interventions.c.action_key == action_key
    with reading(engine) as connection:
        rows = connection.execute(select(interventions).where(mine).order_by(interventions.c.number))
        return [Intervention(**row) for row in rows.mappings()]


def list_previews(engine: Engine, *, channel: str | None, limit: int, offset: int) -> list[Preview]:
    """Previews, the newest first."""
    query = (
        select(previews)
        .order_by(previews.c.updated_at.desc(), previews.c.action_key)
        .limit(limit)
        .offset(offset)
    )
    if channel is not None:
        query = query.where(previews.c.channel == channel)
    with reading(engine) as connection:
        return [Preview(**row) for row in connection.execute(query).mappings()]


def preview(engine: Engine, action_key: str) -> Preview | None:
    """The preview of one action, by its row's key or its own."""
    is_shown = actions.c.destination == PREVIEW
    own = select(actions.c.due_key).where(actions.c.action_key == action_key, is_shown)
    with reading(engine) as connection:
        for key in (action_key, own.scalar_subquery()):
            query = select(previews).where(previews.c.action_key == key)
            if row := connection.execute(query).mappings().first():
                return Preview(**row)
    return None


def changed_since(engine: Engine, cursor: str | None, batch: int) -> Iterator[Changes]:
    """Batches of rows written after a cursor, each with the cursor to go on from.

    A row's number is that of the write that touched it last, and numbers rise in the order of commits: ties
    and slow writers cost no row. A row that changes while this runs comes again with its newer state.
    """
    columns = [actions.c[name] for name in TOLD]
    place = cursor
    while True:
        query = select(*columns, actions.c.change_number).order_by(
            actions.c.change_number, actions.c.action_key
        )
        if place:
            number, key = place.split(":", 1)
            same = and_(actions.c.change_number == int(number), actions.c.action_key > key)
            query = query.where(or_(actions.c.change_number > int(number), same))
        with reading(engine) as connection:
            rows = [dict(row) for row in connection.execute(query.limit(batch)).mappings()]
        if not rows:
            return
        place = f"{rows[-1]['change_number']}:{rows[-1]['action_key']}"
        for row in rows:
            del row["change_number"]
            row["payload"] = payloads.decode(row["payload"])
        yield Changes(rows, place)
