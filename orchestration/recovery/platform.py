"""What a platform with a list API says of it, and what every recovered body carries.

Nothing here asks a network or knows one platform.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

SINCE = "{incremental.start_value}"
"""In an endpoint: the earliest creation asked for, as `Platform.moment` writes it."""
CALL = "{resources.missing.quoted_id}"
"""In the path of a detail: the call's id, percent-encoded."""
MARK = "recovered"
"""The name under which a recovered body says so; and the prefix of its event's id, with a colon."""


@dataclass(frozen=True)
class Seen:
    """A call as a list shows it. Times are aware or None; `is_over`: its events are all that there will be."""

    call_id: str | None
    created_at: datetime | None
    ended_at: datetime | None
    is_over: bool


EVER = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SECONDS = 7 * 86400


@dataclass(frozen=True)
class Bounds:
    """Calls created from `since` on and before `until`, both aware. Open: from where the last one ended."""

    since: datetime
    until: datetime
    is_open: bool = False


class Platform(ABC):
    """A list API, in the words of dlt's `rest_api` source."""

    name: str
    """As in `/webhooks/<source>`."""
    api_url: str
    calls: str
    """How the list is asked, for people: method and path."""
    selector: str
    """Where the list stands in an answer; `$` is the answer itself."""
    detail: dict[str, Any] | None = None
    """The endpoint of one call, with `CALL` in its path; None if the list says everything."""
    heavy: frozenset[str] = frozenset()
    """Fields of a listed call that its detail repeats and that are too long to be kept twice."""

    @abstractmethod
    def auth(self, key: str) -> dict[str, Any]:
        """How the key is sent."""

    @abstractmethod
    def listing(self, until: datetime) -> dict[str, Any]:
        """The endpoint that lists calls created from `SINCE` on and before `until` (aware, UTC)."""

    @abstractmethod
    def moment(self, when: datetime) -> Any:
        """A time (aware, UTC) as the API wants it in a question."""

    @abstractmethod
    def seen(self, call: dict[str, Any]) -> Seen:
        """A listed call; never raises."""

    @abstractmethod
    def bodies(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The webhooks that the platform sends of a finished call, from what its API says of it; never raises.

        Of a listed call alone they may lack a transcript, but they are the same webhooks.
        """


def marked(platform: Platform, body: dict[str, Any], call: dict[str, Any] | None = None) -> dict[str, Any]:
    """A body that says it was recovered; with what the API said, where the body does not hold that as it was."""
    said = {"from": platform.calls} | ({"call": call} if call is not None else {})
    return {**body, MARK: said}


def ended(began_at: datetime | None, lasted: Any, unit_seconds: float = 1) -> datetime | None:
    """The end of a call that lasted so many units; its beginning where that is no duration of a call. Never raises."""
    if began_at is None:
        return None
    is_duration = isinstance(lasted, int | float) and 0 <= lasted < _LONGEST_SECONDS / unit_seconds
    try:
        return began_at + timedelta(seconds=lasted * unit_seconds if is_duration else 0)
    except OverflowError:
        return began_at
