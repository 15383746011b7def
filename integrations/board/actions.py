"""What the board asks of the outbox: what was done today, what waits, what failed, and one action with its look."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select

from integrations.board import masking
from integrations.chat import message as chat
from integrations.config import IntegrationSettings
from integrations.crm import rendering as crm
from integrations.destinations import CHANNELS, Delivery
from integrations.email import rendering as email
from integrations.errors import DestinationUnavailable, Rejected, Suppressed
from integrations.outbox import Action, Outbox
from integrations.outbox.engine import reading
from integrations.outbox.previews import NAME as PREVIEW
from integrations.outbox.queue import as_action
from integrations.outbox.schema import (
    DEAD,
    PENDING,
    RETRYING,
    SENDING,
    SENT,
    SKIPPED,
    UPDATABLE,
    actions,
    change_counter,
)
from integrations.rendering import Rendered
from integrations.ticket import rendering as ticket

PAGE = 50
ACTIONS_OF_A_CALL = 100
WAITING = (PENDING, SENDING, RETRYING)
_IS_CLOSED = actions.c.given_up_by.is_not(None)
_IS_PREVIEW = actions.c.destination == PREVIEW
STATES: dict[str, ColumnElement[bool]] = {
    "sent": and_(actions.c.status == SENT, not_(_IS_PREVIEW)),
    "preview": and_(actions.c.status == SENT, _IS_PREVIEW),
    "waiting": actions.c.status.in_(WAITING),
    "failed": and_(actions.c.status == DEAD, not_(_IS_CLOSED)),
    "closed": and_(actions.c.status == DEAD, _IS_CLOSED),
    "skipped": actions.c.status == SKIPPED,
}
"""What the filter offers, and what it means to the outbox; nothing that stayed in the house counts as sent."""
_RENDER: dict[str, Callable[[Delivery, IntegrationSettings], Rendered]] = {
    "email": email.render,
    "ticket": lambda delivery, _: ticket.render(delivery),
    "crm": lambda delivery, _: crm.render(delivery),
    "chat": chat.render,
}


@dataclass(frozen=True)
class Summary:
    """Actions by channel and word of `STATES`: waiting and failed whenever, all others of today.

    `troubled`: those that have failed or are tried again, without those that a person has closed.
    """

    counts: dict[str, dict[str, int]]
    troubled: list[Action]

    def total(self, word: str) -> int:
        """Over all channels."""
        return sum(counts.get(word, 0) for counts in self.counts.values())


@dataclass(frozen=True)
class Look:
    """What goes out, or why nothing can; `is_kept` if it is what a preview destination kept."""

    rendered: Rendered | None
    is_kept: bool = False
    refusal: str = ""


def version(outbox: Outbox) -> int:
    """Changes with every write to the outbox."""
    with reading(outbox.engine) as connection:
        return int(connection.execute(select(change_counter.c.value)).scalar_one_or_none() or 0)


def summary(outbox: Outbox, since: datetime) -> Summary:
    """The day so far, and the actions that need a person or fail."""
    is_open = or_(STATES["waiting"], STATES["failed"])
    # by columns and not by expressions with values in them: Postgres would not know those again
    group = (actions.c.channel, actions.c.status, actions.c.destination, _IS_CLOSED)
    query = select(*group, func.count()).where(or_(is_open, actions.c.updated_at >= since)).group_by(*group)
    troubled = (
        select(actions)
        .where(or_(actions.c.status == RETRYING, STATES["failed"]))
        .order_by(actions.c.status, actions.c.updated_at.desc())
        .limit(6)
    )
    counts: dict[str, dict[str, int]] = {channel: {} for channel in CHANNELS}
    with reading(outbox.engine) as connection:
        for row in connection.execute(query):
            channel, status, number = str(row[0]), str(row[1]), int(row[4])
            of = counts.setdefault(channel, {})
            name = _state(status, str(row[2]), bool(row[3]))
            for each in {name, "waiting"} if status in WAITING else {name}:
                of[each] = of.get(each, 0) + number
        return Summary(counts, [as_action(row) for row in connection.execute(troubled).mappings()])


def state(action: Action) -> str:
    """An action's state in a team lead's words: waiting, retrying, sent, preview, failed, closed or skipped."""
    return _state(action.status, action.destination, action.given_up_by is not None)


def _state(status: str, destination: str, is_closed: bool) -> str:
    if status == SENT and destination == PREVIEW:
        return "preview"
    if status == DEAD:
        return "closed" if is_closed else "failed"
    return "waiting" if status in (PENDING, SENDING) else status


def listed(
    outbox: Outbox, channel: str = "", status: str = "", since: datetime | None = None, page: int = 0
) -> list[Action]:
    """A page of actions that match, the last changed first, and one more if there are more."""
    query: Select[Any] = select(actions).order_by(actions.c.change_number.desc(), actions.c.action_key)
    if channel:
        query = query.where(actions.c.channel == channel)
    if status:
        query = query.where(STATES.get(status, actions.c.status == status))
    if since:
        query = query.where(actions.c.updated_at >= since)
    with reading(outbox.engine) as connection:
        found = connection.execute(query.limit(PAGE + 1).offset(page * PAGE)).mappings()
        return [as_action(row) for row in found]


def of_call(outbox: Outbox, source: str, call_id: str, customer_phone: str | None) -> list[Action]:
    """What is done for a call in every system: its own actions, and its customer's contact, which calls share."""
    own = and_(actions.c.source == source, actions.c.call_id == call_id)
    contact = actions.c.due_key == f"contact:{customer_phone}"
    query = select(actions).where(or_(own, contact)).order_by(actions.c.created_at, actions.c.action_key)
    with reading(outbox.engine) as connection:
        return [as_action(row) for row in connection.execute(query.limit(ACTIONS_OF_A_CALL)).mappings()]


def reference(action_key: str) -> str:
    """An action's key as addresses have it: a contact's key holds a phone number, which an address must not."""
    if masking.text(action_key, mask=True) == action_key:
        return action_key
    return "~" + hashlib.sha256(action_key.encode()).hexdigest()[:32]


def by_reference(outbox: Outbox, ref: str) -> Action | None:
    """The action behind an address."""
    if not ref.startswith("~"):
        return outbox.action(ref)
    with reading(outbox.engine) as connection:
        keys = list(map(str, connection.execute(select(actions.c.action_key)).scalars()))
    found = next((key for key in keys if reference(key) == ref), None)
    return outbox.action(found) if found else None


def look(outbox: Outbox, action: Action, settings: IntegrationSettings) -> Look:
    """What was kept of an action, else what its channel would send now."""
    kept = outbox.preview(action.action_key)
    if kept:
        return Look(Rendered(kept.media_type, kept.title, kept.body), is_kept=True)
    render = _RENDER.get(action.channel)
    if render is None:
        return Look(None, refusal=f"the channel {action.channel} has no preview")
    delivery = Delivery(
        action.due_key,
        action.channel,
        action.kind,
        action.source,
        action.call_id,
        action.payload,
        at=action.sent_at or datetime.now(UTC),
    )
    try:
        return Look(render(delivery, settings))
    except (Rejected, DestinationUnavailable, Suppressed) as error:
        return Look(None, refusal=str(error))


def can_retry(action: Action) -> bool:
    """Whether the outbox would try it again; it has the last word."""
    if action.status in (PENDING, SENDING):
        return False
    return action.sent_at is None or action.kind in UPDATABLE


def can_give_up(action: Action) -> bool:
    """Whether it is still open."""
    return action.status in (*WAITING,)


def masked(action: Action, mask: bool) -> Action:
    """An action whose error may be shown."""
    error = masking.text(action.last_error, mask=mask) if action.last_error else action.last_error
    return replace(action, last_error=error)
