"""Routes and limits: which destinations an action goes to, and how much each of them takes at once.

    # destinations.toml in the home; the first route that fits decides
    [[route]]
    channel = "ticket"
    when = { queue = "billing", vip = true }      # all of these; a list means any of its values
    to = ["zendesk", "webhook"]

    [limits.zendesk]
    concurrency = 4
    per_second = 10

What no route fits goes where AFTERCALL_TICKETS, _EMAILS, _CRM and _CHAT say. How an action is carried out does not
belong here.
"""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from integrations import former_names
from integrations.config import CHANNEL_SETTINGS, IntegrationSettings
from integrations.destinations import CHANNELS, Limits, UnknownDestination, available, exists

FILE = "destinations.toml"
FACTS = (
    "kind", "source", "queue", "agent", "vip", "priority", "issue_type", "template", "language", "slack_channel",
)  # fmt: skip
"""What a route may ask of an action."""
_ONLY_OF = {"template": "email", "language": "email", "slack_channel": "chat"}
"""Facts that actions of one channel alone have; a route that asked another channel for one would never fit."""


class BadRoutes(ValueError):
    """The file of routes cannot be followed; the message says where and what to write instead."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Route(_Strict):
    """Where actions go that fit."""

    channel: Annotated[
        Literal["ticket", "email", "crm", "chat"],
        BeforeValidator(lambda name: former_names.channel(name) if isinstance(name, str) else name),
    ]
    when: dict[str, str | bool | list[str]] = Field(default_factory=dict)
    to: tuple[str, ...] = Field(min_length=1)

    @field_validator("when")
    @classmethod
    def _known(cls, when: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(when) - set(FACTS))
        if unknown:
            raise ValueError(f"no route can ask for {', '.join(unknown)}; it may ask for {', '.join(FACTS)}")
        if not isinstance(when.get("vip", True), bool):
            raise ValueError("vip is true or false, without quotation marks")
        return when

    @field_validator("to")
    @classmethod
    def _renamed(cls, to: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return tuple(former_names.destination(info.data.get("channel", ""), name) for name in to)

    @model_validator(mode="after")
    def _can_fit(self) -> Self:
        _check(self.channel, self.to)
        for name, channel in _ONLY_OF.items():
            if name in self.when and self.channel != channel:
                raise ValueError(
                    f"no {self.channel} action has a {name}; only those of channel {channel!r} have"
                )
        return self

    def fits(self, facts: Mapping[str, Any]) -> bool:
        """Whether an action is as `when` says."""
        return all(_is(facts.get(name), wanted) for name, wanted in self.when.items())


class LimitSetting(_Strict):
    """What a destination takes at once; what is not said is the destination's own."""

    concurrency: int | None = Field(None, ge=1, le=64)
    per_second: float | None = Field(None, gt=0)


class Routes(_Strict):
    """The whole file."""

    route: tuple[Route, ...] = ()
    limits: dict[str, LimitSetting] = Field(default_factory=dict)

    @field_validator("limits")
    @classmethod
    def _exist(cls, limits: dict[str, LimitSetting]) -> dict[str, LimitSetting]:
        unknown = sorted(name for name in limits if not any(_is_known(channel, name) for channel in CHANNELS))
        if unknown:
            known = sorted({name for channel in CHANNELS for name in available(channel)})
            raise ValueError(f"no destination is called {', '.join(unknown)}; there is {', '.join(known)}")
        return limits

    def limits_of(self, name: str, own: Limits) -> Limits:
        """A destination's limits: the file's before its own."""
        limit = next((self.limits[one] for one in former_names.limit_names(name) if one in self.limits), None)
        if limit is None:
            return own
        return Limits(limit.concurrency or own.concurrency, limit.per_second or own.per_second)

    def asks_for(self, *names: str) -> bool:
        """Whether any route asks for one of these facts."""
        return any(set(names) & set(route.when) for route in self.route)


def routes(settings: IntegrationSettings) -> Routes:
    """The routes of this installation; none without a file. Raises BadRoutes."""
    path = settings.destinations_file or settings.home / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if settings.destinations_file is not None:
            raise BadRoutes(f"AFTERCALL_DESTINATIONS_FILE={path} does not exist") from None
        return Routes()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRoutes(f"{path} cannot be read: {error}") from None
    return _parsed(text, path)


def destinations(
    channel: str, facts: Mapping[str, Any], settings: IntegrationSettings, known: Routes
) -> tuple[str, ...]:
    """Where an action goes, the first destination first. Raises UnknownDestination."""
    for route in known.route:
        if route.channel == channel and route.fits(facts):
            return tuple(dict.fromkeys(route.to))
    return settings.destinations_of(channel)


def configured(channel: str, settings: IntegrationSettings) -> tuple[str, ...]:
    """Every destination that actions of a channel may go to. Raises BadRoutes and UnknownDestination."""
    names = settings.destinations_of(channel)
    try:
        _check(channel, names)
    except ValueError as error:
        message = f"AFTERCALL_{CHANNEL_SETTINGS[channel].upper()}={','.join(names)!r}: {error}"
        raise UnknownDestination(message) from None
    routed = (name for route in routes(settings).route if route.channel == channel for name in route.to)
    return tuple(dict.fromkeys([*names, *routed]))


@lru_cache(maxsize=4)
def _parsed(text: str, path: Path) -> Routes:
    try:
        return Routes.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadRoutes(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        message = "; ".join(f"{_place(one['loc'])}: {one['msg']}" for one in error.errors())
        raise BadRoutes(f"{path}: {message}") from None


def _place(location: tuple[int | str, ...]) -> str:
    """`route 2, to`: counted from one, as a person counts."""
    words: list[str] = []
    for part in location:
        if isinstance(part, int) and words:
            words[-1] = f"{words[-1]} {part + 1}"
        else:
            words.append(str(part))
    return ", ".join(words) or "the file"


def _is_known(channel: str, name: str) -> bool:
    return exists(channel, former_names.destination(channel, name))


def _check(channel: str, names: tuple[str, ...]) -> None:
    for name in names:
        if not exists(channel, name):
            raise ValueError(
                f"{channel} has no destination {name!r}; there is {', '.join(available(channel))}"
            )


def _is(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool):
        return bool(value) is wanted
    return str(value) in (wanted if isinstance(wanted, list) else [wanted])
