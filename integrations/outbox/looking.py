"""Looking before sending: what a try of an action would do now, asked of the destination without changing anything."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import (
    Delivery,
    Destination,
    SupportsDiff,
    SupportsPreview,
    Transactional,
    UnknownDestination,
    open_destination,
)
from integrations.errors import DestinationUnavailable, Forbidden, RateLimited, Rejected, Suppressed, describe
from integrations.outbox import circuit_breaker
from integrations.outbox.attempt import NotYet, Sender, check_begun
from integrations.outbox.following import followed, not_routed
from integrations.outbox.models import Action
from integrations.outbox.placement import NOT_ROUTED
from integrations.outbox.previews import NAME as PREVIEW
from integrations.outbox.previews import PreviewDestination
from integrations.outbox.queue import due_keys, load_due
from integrations.outbox.schema import UPDATABLE
from integrations.outbox.transitions import HELD_BACK
from integrations.rendering import Rendered

CREATE, UPDATE, NOTHING, SKIP, WAIT, FAIL = "create", "update", "nothing", "skip", "wait", "fail"


@dataclass(frozen=True)
class Plan:
    """What a try would do: create, update, nothing (it says so already), skip, wait, or fail, and why.

    `changes` has, by the system's own field names, what is there now (None: nothing) and what would be. `cause` is what
    was raised.
    """

    action: Action
    does: str
    told: str = ""
    changes: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    cause: Exception | None = None


def plans(
    engine: Engine, channel: str, settings: IntegrationSettings, now: datetime, limit: int
) -> Iterator[Plan]:
    """Plans of a channel's due actions, in the order of sending, where the configuration has them go now.

    Each destination is opened once. Raises BadRoutes.
    """
    going: dict[str, list[Action]] = defaultdict(list)
    known = not_routed(engine, channel)
    with followed(engine, channel, settings, now) as connection:
        keys = [key for due in due_keys(connection, channel, now, limit).values() for key, _ in due]
        for action in load_due(connection, keys, now):
            going[action.destination].append(action)
        dropped = not_routed(connection, channel)
    yield from (Plan(action, NOTHING, NOT_ROUTED) for key, action in dropped.items() if key not in known)
    for name, actions in going.items():
        yield from _at(engine, channel, name, actions, settings, now)


def _at(
    engine: Engine,
    channel: str,
    name: str,
    actions: list[Action],
    settings: IntegrationSettings,
    now: datetime,
) -> Iterator[Plan]:
    """Plans of what is due at one destination; once it would stop it is asked no more."""
    pause = circuit_breaker.pause_of(engine, channel, name)
    if pause and pause.until > now:
        told = f"{name} has stopped until {pause.until:%H:%M:%S} UTC: {pause.reason}"
        yield from (Plan(action, WAIT, told) for action in actions)
        return
    with ExitStack() as opened:
        try:
            target = open_destination(channel, settings, name)
        except (DestinationUnavailable, UnknownDestination) as error:
            yield from (Plan(action, FAIL, describe(error, settings)) for action in actions)
            return
        opened.callback(getattr(target, "close", lambda: None))
        trier = Sender(engine, target, settings, lambda: now, {})
        streak, stop = circuit_breaker.streak_of(engine, channel, name), None
        before = _Before(trier.made)
        for action in actions:
            if held_up := before.of(action):
                made = Plan(action, WAIT, held_up)
            elif stop:
                made = Plan(action, WAIT, f"{name} would have stopped: {describe(stop, settings)}")
            else:
                made = plan(trier, action)
                streak = streak.after(made.cause)
                stop = None if isinstance(target, Transactional) else _stop(made.cause, streak, settings)
            before.note(made)
            yield made


def _stop(
    error: Exception | None, streak: circuit_breaker.Streak, settings: IntegrationSettings
) -> circuit_breaker.Stop | None:
    if isinstance(error, DestinationUnavailable | RateLimited) and not isinstance(error, Forbidden):
        return error
    return streak.stops(error, settings)


class _Before:
    """What goes before what: a contact before its notes and tasks, a note before its task; as far as a pass gets.

    Args:
        made: ids by due key, as a trier knows them; those of a pass that is only thought of are noted there.
    """

    def __init__(self, made: dict[str, str]) -> None:
        self._made, self._waiting = made, set[Any]()

    def of(self, action: Action) -> str:
        """What of this pass would not be there yet; empty if nothing is missing."""
        if action.parent_key in self._waiting:
            return "its contact goes first"
        is_late = action.kind == "task" and _of_call(action) in self._waiting
        return "its note goes first" if is_late else ""

    def note(self, made: Plan) -> None:
        """Note what would become of an action that others may hang on."""
        action = made.action
        is_settled = made.does in (CREATE, UPDATE, NOTHING, SKIP) or isinstance(made.cause, Rejected)
        if is_settled or action.external_id:
            self._made[action.due_key] = action.external_id or ""
        else:
            self._waiting |= {action.due_key} | ({_of_call(action)} if action.kind == "note" else set())


def _of_call(action: Action) -> tuple[str | None, ...]:
    return action.source, action.call_id, action.parent_key


def plan(trier: Sender, action: Action) -> Plan:
    """What a try of one action would do."""
    target, settings = trier.target, trier.settings
    try:
        if trier.begins(action):
            check_begun(action)
        delivery = trier.delivery(action)
        own = action.external_id if action.destination == target.name else None
        known, there = _there(target, delivery, own)
        if known and not own and action.kind not in UPDATABLE:
            return Plan(action, NOTHING, f"it is there as {known}, and is sent only once")
        if isinstance(target, SupportsPreview) and not (known and isinstance(target, SupportsDiff)):
            # It may refuse what the channel's preview shows, for instance a mail to an example.
            is_new = target.body(delivery, known) is not None
        else:
            is_new = bool(rendered(delivery, settings))
        changes = {}
        if isinstance(target, SupportsDiff):
            planned = target.planned(delivery, known)
            changes = {
                name: (there.get(name), value) for name, value in planned.items() if there.get(name) != value
            }
            is_new = is_new and bool(changes or not known)
    except NotYet as error:
        return Plan(action, WAIT, str(error))
    except Suppressed as error:
        return Plan(action, SKIP, HELD_BACK + describe(error, settings), cause=error)
    except Rejected as error:
        return Plan(action, FAIL, describe(error, settings), cause=error)
    except Exception as error:
        # A client library may throw anything; a look must still get to the next action.
        told = f"{target.name} could not be asked: {describe(error, settings)}"
        return Plan(action, FAIL, told, cause=error)
    if known and not is_new:
        return Plan(action, NOTHING, f"{known} says the same already")
    return Plan(action, UPDATE if known else CREATE, known or "", changes)


def _there(target: Destination, delivery: Delivery, own: str | None) -> tuple[str | None, Mapping[str, str]]:
    """The id of what was made for the action already, and its fields where the destination can be asked for them."""
    if own:
        fields = target.current(delivery, own) if isinstance(target, SupportsDiff) else {}
        if fields is not None:
            return own, fields
    found = None if isinstance(target, Transactional) else target.find(delivery)
    # A search may still list what was deleted.
    if found is None or found == own:
        return None, {}
    return found, (target.current(delivery, found) if isinstance(target, SupportsDiff) else None) or {}


def rendered(delivery: Delivery, settings: IntegrationSettings) -> Rendered:
    """What goes out, by the channel's own rendering. Raises Refused if nothing can."""
    target = open_destination(delivery.channel, settings, PREVIEW)
    assert isinstance(target, PreviewDestination)  # noqa: S101 - it is so by its name
    return target.render(delivery)
