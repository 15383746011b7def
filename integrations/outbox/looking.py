"""Looking before sending: what a try of an action would do now, asked of the destination without changing anything."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import (
    Comparable,
    Delivery,
    Destination,
    KeptInOutbox,
    Showable,
    UnknownDestination,
    open_destination,
)
from integrations.errors import Paused, Refused, Skipped, describe
from integrations.outbox import circuit
from integrations.outbox.backlog import due_keys, load_due
from integrations.outbox.following import moves
from integrations.outbox.previews import NAME as PREVIEW
from integrations.outbox.previews import PreviewDestination
from integrations.outbox.records import Action
from integrations.outbox.routing import NOT_ROUTED
from integrations.outbox.schema import UPDATABLE
from integrations.outbox.trying import NotYet, Trier
from integrations.rendering import Rendered

CREATE, UPDATE, NOTHING, WAIT, FAIL = "create", "update", "nothing", "wait", "fail"


@dataclass(frozen=True)
class Plan:
    """What a try would do: create, update, nothing (it is there), wait, or fail, and why.

    `changes` has, by the system's own field names, what is there now (None: nothing) and what would be.
    """

    action: Action
    does: str
    told: str = ""
    changes: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)


def plans(
    engine: Engine, channel: str, settings: IntegrationSettings, now: datetime, limit: int
) -> Iterator[Plan]:
    """Plans of a channel's due actions, in the order of sending, where the configuration has them go now.

    Each destination is opened once. Raises BadRoutes.
    """
    moved = moves(engine, channel, settings)
    going: dict[str, list[Action]] = defaultdict(list)
    for name, due in due_keys(engine, channel, now, limit).items():
        for action in load_due(engine, [key for key, _ in due], now):
            names = moved.get(action.action_key, (name,))
            for one in names:
                going[one].append(
                    action if one == name else replace(action, destination=one, external_id=None)
                )
            if not names:
                yield Plan(action, NOTHING, NOT_ROUTED)
    for name, actions in going.items():
        pause = circuit.pause_of(engine, channel, name)
        if pause and pause.until > now:
            told = f"{name} has stopped until {pause.until:%H:%M:%S} UTC: {pause.reason}"
            yield from (Plan(action, WAIT, told) for action in actions)
            continue
        with ExitStack() as opened:
            try:
                target = open_destination(channel, settings, name)
            except (Paused, UnknownDestination) as error:
                yield from (Plan(action, FAIL, str(error)) for action in actions)
                continue
            opened.callback(getattr(target, "close", lambda: None))
            trier = Trier(engine, target, settings, lambda: now, {})
            for action in actions:
                yield plan(trier, action)


def plan(trier: Trier, action: Action) -> Plan:
    """What a try of one action would do."""
    target, settings = trier.target, trier.settings
    try:
        delivery = trier.delivery(action)
        own = action.external_id if action.destination == target.name else None
        known = own or (None if isinstance(target, KeptInOutbox) else target.find(delivery))
        if known and not own and action.kind not in UPDATABLE:
            return Plan(action, NOTHING, f"it is there as {known}, and is sent only once")
        if isinstance(target, Showable) and not isinstance(target, Comparable):
            target.body(delivery, known)  # may refuse what the channel's preview shows: no mail to an example
        else:
            rendered(delivery, settings)
        changes = _changes(target, delivery, known)
    except NotYet as error:
        return Plan(action, WAIT, str(error))
    except (Refused, Skipped) as error:
        return Plan(action, FAIL, describe(error, settings))
    except Exception as error:
        # A client library may throw anything; a look must still get to the next action.
        return Plan(action, FAIL, f"{target.name} could not be asked: {describe(error, settings)}")
    if known and changes is not None and not changes:
        return Plan(action, UPDATE, f"{known}, which says the same already")
    return Plan(action, UPDATE if known else CREATE, known or "", changes or {})


def rendered(delivery: Delivery, settings: IntegrationSettings) -> Rendered:
    """What goes out, by the channel's own rendering. Raises Refused if nothing can."""
    target = open_destination(delivery.channel, settings, PREVIEW)
    assert isinstance(target, PreviewDestination)  # noqa: S101 - it is so by its name
    return target.render(delivery)


def _changes(
    target: Destination, delivery: Delivery, known: str | None
) -> dict[str, tuple[str | None, str]] | None:
    """Fields that would be others than they are; None if the destination cannot be asked for that."""
    if not isinstance(target, Comparable):
        return None
    now = (target.current(delivery, known) if known else None) or {}
    return {
        name: (now.get(name), value)
        for name, value in target.planned(delivery).items()
        if now.get(name) != value
    }
