"""What a destination is, and how the one that the settings name is opened.

A new destination is one file in its channel's folder with a function
`open_destination(settings: IntegrationSettings) -> Destination`; the file's name is the name in the settings.
Nothing else needs to know of it. No destination lives here.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

from sqlalchemy import Connection

from integrations.config import CHANNEL_SETTINGS, IntegrationSettings
from integrations.errors import DestinationUnavailable, Rejected, TransientError

CHANNELS = tuple(CHANNEL_SETTINGS)


@dataclass(frozen=True)
class Earlier:
    """A record that a destination has for the same call on the same channel."""

    action_key: str
    external_id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Delivery:
    """An action as a destination sees it.

    Args:
        action_key: the key under which the destination looks for a record that it has already.
        channel: the channel.
        kind: the kind.
        source: voice platform of the call.
        call_id: the call.
        payload: what to render.
        at: the moment of this try, UTC.
        known_since: when the action entered the outbox, UTC: no record of it is older.
        contact_id: for a CRM note or task: the contact's id in the same destination, where known.
        earlier: records that the same destination has for the same call on this channel, the oldest first.
        links: addresses of records that other channels have for the same call, by kind: `ticket`, `contact`.
    """

    action_key: str
    channel: str
    kind: str
    source: str | None
    call_id: str | None
    payload: Mapping[str, Any]
    at: datetime
    known_since: datetime | None = None
    contact_id: str | None = None
    earlier: tuple[Earlier, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)


class Destination(Protocol):
    """A system behind a channel. Raises one of `integrations.errors`; all else counts as retryable.

    If it has a `close`, that is called when the pass over the channel is over.
    """

    @property
    def name(self) -> str:
        """The name in the settings and in the ledger."""
        ...

    def find(self, delivery: Delivery) -> str | None:
        """The id of the record that exists for this action already (for a contact: for its phone), if there is one.

        Asked before anything is created: after a crash between send and mark this is what prevents a twin.
        """
        ...

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Create the record (`external_id` None) or update that one; returns its id in the system."""
        ...


@dataclass(frozen=True)
class CheckResult:
    """What a harmless call showed about credentials or permissions.

    Args:
        name: what was looked at, for instance `credentials` or `may create tickets`.
        is_fine: true if it is as it must be.
        message: what was seen; if it is not fine, what to do.
    """

    name: str
    is_fine: bool
    message: str


def check_result(name: str, ask: Callable[..., object], *arguments: Any) -> CheckResult:
    """What `ask` answers when it is called with these arguments; a failure kind is a result that is not fine."""
    try:
        return CheckResult(name, True, str(ask(*arguments)))
    except (Rejected, TransientError, DestinationUnavailable) as error:
        return CheckResult(name, False, str(error))


@runtime_checkable
class SupportsCheck(Destination, Protocol):
    """A destination that can check its own settings without leaving anything behind."""

    def check(self) -> Iterator[CheckResult]:
        """What a person wants to know before the first action; a wrong key is a result, not an error."""
        ...


@runtime_checkable
class ChannelCheckable(SupportsCheck, Protocol):
    """A destination of messages that can look into one of the places that they go to."""

    def check_channel(self, name: str) -> CheckResult:
        """The result for one place; asked for each place that the rules name."""
        ...


@runtime_checkable
class SupportsPreview(Destination, Protocol):
    """A destination that can show the request that a try would make now."""

    def body(self, delivery: Delivery, external_id: str | None) -> Any:
        """What `send` would write, built by the same code; None: the record says all this already.

        The system may be asked, and is never changed. Raises what `send` raises.
        """
        ...


@runtime_checkable
class SupportsDiff(Destination, Protocol):
    """A destination that can compare, field by field, what it would write with what is there now."""

    def planned(self, delivery: Delivery, external_id: str | None = None) -> Mapping[str, str]:
        """The fields of the record as `send` would leave it, by the system's own names; None: of a new one."""
        ...

    def current(self, delivery: Delivery, external_id: str) -> Mapping[str, str] | None:
        """The same fields as they are in the system; None if the record is gone."""
        ...


@runtime_checkable
class Linked(Destination, Protocol):
    """A destination whose records a person can open in a browser."""

    def link(self, kind: str, external_id: str) -> str | None:
        """The https address of a record, None where it has none."""
        ...


@runtime_checkable
class KnowsAddresses(Destination, Protocol):
    """A CRM that can be asked which e-mail addresses it holds for a number."""

    def addresses(self, phone: str) -> frozenset[str]:
        """The addresses of every contact that has the number, in small letters."""
        ...


@dataclass(frozen=True)
class Limits:
    """What a destination takes at once, according to its vendor: its attribute `limits`.

    Args:
        concurrency: most requests under way at a time; each has an opened destination of its own.
        per_second: most actions begun a second; None: no such limit.
    """

    concurrency: int = 1
    per_second: float | None = None


@runtime_checkable
class Knockable(Destination, Protocol):
    """A destination that can find out, without sending anything, whether its system answers at all."""

    def knock(self) -> None:
        """Return if the system answers, whatever it says. Raises Unreachable or RateLimited."""
        ...


def can_be_asked(destination: Destination) -> bool:
    """False if the destination cannot say which records it has: its attribute `can_be_asked`.

    Then a durable "begun" precedes each send, and what began twice without a known end is left to a person.
    """
    return bool(getattr(destination, "can_be_asked", True))


class CannotBeAsked:
    """The base of a destination that cannot say which records it has: see `can_be_asked`."""

    can_be_asked = False

    def find(self, delivery: Delivery) -> str | None:
        """Always None."""
        return None


@runtime_checkable
class Transactional(Destination, Protocol):
    """A destination whose whole effect is rows of the outbox: it is written in the transaction that marks it.

    Only such a one may be sent in batches, because effect and mark cannot come apart.
    """

    def keep(self, connection: Connection, now: datetime) -> None:
        """Write what `send` collected since the last time."""
        ...


class UnknownDestination(ValueError):
    """The settings name a destination that does not exist."""


def available(channel: str) -> tuple[str, ...]:
    """Names of the destinations that a channel has."""
    package = importlib.import_module(f"integrations.{channel}")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(
        name
        for name in names
        if hasattr(importlib.import_module(f"{package.__name__}.{name}"), "open_destination")
    )


def exists(channel: str, name: str) -> bool:
    """True if a channel has a destination of this name. Imports no other destination."""
    # Only the one that is asked for: the others' client libraries may not be installed.
    module = f"integrations.{channel}.{name}"
    return (
        name.isidentifier()
        and find_spec(module) is not None
        and hasattr(importlib.import_module(module), "open_destination")
    )


def open_destination(channel: str, settings: IntegrationSettings, name: str | None = None) -> Destination:
    """A destination by name, or the first that the settings choose.

    Raises:
        UnknownDestination: saying what exists, if there is none of this name.
        DestinationUnavailable: if a setting of it is missing.
    """
    if name is None:
        name = settings.destinations_of(channel)[0]
    if not exists(channel, name):
        raise UnknownDestination(
            f"AFTERCALL_{CHANNEL_SETTINGS[channel].upper()}={name!r}: {channel} has no such destination; "
            f"there is {', '.join(available(channel))}"
        )
    destination: Destination = importlib.import_module(f"integrations.{channel}.{name}").open_destination(
        settings
    )
    return destination
