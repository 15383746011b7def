"""Addresses of what was made for a call, so that a message about it leads there. Reads the outbox, asks no system.

Nothing waits for a link: what is not there yet, or has no address, is left out.
"""

from contextlib import suppress

from sqlalchemy import Engine, and_, or_, select

from integrations.config import IntegrationSettings
from integrations.destinations import Linked, UnknownDestination, open_destination
from integrations.errors import DestinationUnavailable
from integrations.outbox.engine import reading
from integrations.outbox.models import Action
from integrations.outbox.schema import actions

LINKED = ("ticket", "contact")
"""Kinds whose records a message leads to."""


def links(engine: Engine, action: Action, settings: IntegrationSettings) -> dict[str, str]:
    """By kind, the address of the first record that was made for the action's call and has one."""
    if action.call_id is None:
        return {}
    found: dict[str, str] = {}
    for channel, destination, kind, external_id in _made(engine, action):
        if kind not in found:
            address = _address(channel, destination, kind, external_id, settings)
            found |= {kind: address} if address else {}
    return found


def _made(engine: Engine, action: Action) -> list[tuple[str, str, str, str]]:
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
