"""The interface of a platform with a list API, and the mark of recovered bodies.

Requests and facts about one platform do not belong here.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

SINCE = "{incremental.start_value}"
"""Stands in an endpoint for the earliest creation to list, as `Platform.moment` writes it."""
CALL = "{resources.missing.quoted_id}"
"""Stands in the path of a detail for the call's id, percent-encoded."""
MARK = "recovered"
"""The field that marks a recovered body, and, with a colon, the prefix of its event's id."""


@dataclass(frozen=True)
class Seen:
    """A listed call. Times are aware or None; `is_over`: no further events will come."""

    call_id: str | None
    created_at: datetime | None
    ended_at: datetime | None
    is_over: bool


EVER = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SECONDS = 7 * 86400


@dataclass(frozen=True)
class Bounds:
    """Calls created from `since` on and before `until`, both aware. Open: from where the last listing ended."""

    since: datetime
    until: datetime
    is_open: bool = False


class Platform(ABC):
    """A list API, in the words of dlt's `rest_api` source."""

    name: str
    """As in `/webhooks/<source>`."""
    api_url: str
    calls: str
    """Method and path of the list, for people."""
    selector: str
    """The list's place in an answer; `$` is the whole answer."""
    detail: dict[str, Any] | None = None
    """The endpoint of one call, with `CALL` in its path; None if the list has all fields."""
    heavy: frozenset[str] = frozenset()
    """Fields of a listed call that its detail repeats and that are too long to store twice."""

    @abstractmethod
    def auth(self, key: str) -> dict[str, Any]:
        """The authentication of a request, for dlt."""

    @abstractmethod
    def listing(self, until: datetime) -> dict[str, Any]:
        """The endpoint that lists calls created from `SINCE` on and before `until` (aware, UTC)."""

    @abstractmethod
    def moment(self, when: datetime) -> Any:
        """A time (aware, UTC) in the form of the API's parameters."""

    @abstractmethod
    def seen(self, call: dict[str, Any]) -> Seen:
        """The facts of a listed call. Never raises."""

    @abstractmethod
    def bodies(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The bodies of a finished call's webhooks, from the call as its API returns it. Never raises.

        From a listed call they may lack the transcript, but they stand for the same webhooks.
        """


def marked(platform: Platform, body: dict[str, Any], call: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body with the mark of recovery, and with the API's call if the body does not contain it unchanged."""
    mark = {"from": platform.calls} | ({"call": call} if call is not None else {})
    return {**body, MARK: mark}


def ended(began_at: datetime | None, lasted: Any, unit_seconds: float = 1) -> datetime | None:
    """The start plus a duration in units; the start alone if the duration is implausible. Never raises."""
    if began_at is None:
        return None
    is_duration = isinstance(lasted, int | float) and 0 <= lasted < _LONGEST_SECONDS / unit_seconds
    try:
        return began_at + timedelta(seconds=lasted * unit_seconds if is_duration else 0)
    except OverflowError:
        return began_at
