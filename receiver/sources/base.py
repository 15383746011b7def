"""The interface of a source, and functions to read values from a body of any shape.

Every function accepts any JSON value and never raises. Facts about one platform do not belong here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, ClassVar, Protocol, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from receiver.body import BigInteger
from receiver.envelope import MAX_TEXT, Facts

CALL_START, CALL_END, ANALYTICS_COMPLETED = "call.start", "call.end", "analytics.completed"


class CannotSign(Exception):
    """Only the platform itself can sign; the message says why."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Instructions for `aftercall connect`; `{url}` in a step stands for the source's address."""

    platform: str
    """The platform's name, as people write it."""
    steps: tuple[str, ...]
    credential: str
    """What `AFTERCALL_SECRET_<SOURCE>` holds, and where to get it."""
    content_type: str = "application/json"
    """The Content-Type of the platform's requests."""


@dataclass(frozen=True, slots=True)
class CallLength:
    """How long a call took, in the values of one event, of any type; None is unknown."""

    duration: Any = None
    started_at: Any = None
    ended_at: Any = None
    units_per_second: float = 1.0
    """How many units of `duration` are a second."""


class Source(Protocol):
    """A voice platform: how it signs, and where its bodies hold the facts that code needs before the models run.

    Inherit from it. `dbt_project/models/staging/` reads the same places of a body for everything else.
    """

    name: str

    signature_headers: tuple[str, ...]
    """The headers that `verify` reads, as the platform writes them."""

    setup: Setup

    takes_forms: ClassVar[bool] = False
    """True if bodies may also be `application/x-www-form-urlencoded`; `facts` gets the value of `body.parse_form`."""

    takes_address: ClassVar[bool] = False
    """True if the platform signs the address that it called, so that `at` needs it."""

    reads_before_verifying: ClassVar[bool] = False
    """True if `verify` must parse the body to know what is signed; such bodies have a lower size limit."""

    analytics_end_the_call: ClassVar[bool] = False
    """True if `analytics.completed` also ends the call, as `platform_events` in staging says."""

    reports_each_leg: ClassVar[bool] = False
    """True if each person who joins or leaves is an event: the first end does not give the call's length."""

    operator_objects: ClassVar[frozenset[str]] = frozenset()
    """Objects whose fields the operator names, such as variables: a new name in one is not a new field."""

    def at(self, url: str | None) -> Self:
        """The source for one request to `url` (None: unknown), for platforms that sign the address."""
        return self

    def sign(self, body: bytes, secret: str, now: float) -> dict[str, str]:
        """The headers with which the platform would send the body at `now`, in Unix seconds. May raise CannotSign."""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> None:
        """Return if one of the secrets signed the raw body, else raise BadSignature, and nothing else.

        Keys of `headers` are lower case; `now` is in Unix seconds.
        """
        ...

    def facts(self, body: Any, headers: Mapping[str, str]) -> Facts:
        """The facts in a parsed body; None for what is missing or of the wrong type. Never raises."""
        ...

    def agent_of(self, body: Any) -> str | None:
        """The id of the voice agent in a parsed body, from the places where staging looks. Never raises."""
        return None

    def length_of(self, body: Any) -> CallLength:
        """The length of the call in a parsed body, from the places where staging looks. Never raises."""
        return CallLength()


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty object."""
    return value if isinstance(value, dict) else {}


def text(*values: Any) -> str | None:
    """The first value that is a text and not blank."""
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


def label(*values: Any) -> str | None:
    """The first text that is not blank, trimmed, and cut to 255 characters."""
    value = text(*values)
    return value.strip()[:MAX_TEXT] if value else None


def first(*values: Any) -> Any:
    """The first value that is not null; None if all are."""
    return next((value for value in values if value is not None), None)


def identifier(*values: Any) -> str | None:
    """The first value that can be an id: a text, or an integer of any length in decimal."""
    for value in values:
        if isinstance(value, BigInteger):
            return value.digits
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value
    return None


def moment(value: Any, zone: Any = None) -> datetime | None:
    """An ISO 8601 time in UTC; anything else is None.

    A time without an offset is in `zone` (`America/New_York`), or in UTC if there is no such zone.
    """
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value.strip())
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=_zone(zone) if isinstance(zone, str) else UTC)
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    """The time zone of that name, else UTC."""
    try:
        return ZoneInfo(name.strip())
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return UTC


def moment_of(seconds: Any) -> datetime | None:
    """A Unix time in seconds, as a number or its decimal text, in UTC; anything else is None."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | str):
        return None
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def moment_of_milliseconds(milliseconds: Any) -> datetime | None:
    """A Unix time in milliseconds, as a number, in UTC; anything else is None."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    try:
        return moment_of(milliseconds / 1000)
    except OverflowError:
        return None


def parts(value: Any, *names: str) -> dict[str, Any]:
    """The named members of a JSON object that are present, for an identity."""
    fields = mapping(value)
    return {name: fields[name] for name in names if fields.get(name) is not None}


def direction(*values: Any) -> str | None:
    """`inbound`, `outbound` or `web`, from the first value that contains one of these words."""
    for value in values:
        spelled = value.lower() if isinstance(value, str) else ""
        for word in ("inbound", "outbound", "web"):
            if word in spelled:
                return word
    return None
