"""The published copy as the board asks it, and what the live state starts from.

Whoever starts the board hands in the reader: what kind of database the copy is, is not known here. The other questions
are in `daily_metrics` and `call_detail`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from integrations.board.call_state import Detail
from integrations.board.live_calls import CallKey, Receipts

_CALLS = """
select call_key, start_received_at, end_received_at, analytics_received_at
from calls
where updated_at >= $since
order by updated_at desc
"""
_SOURCES = """
select source, max(last_webhook_at) as heard_at
from calls
where last_webhook_at >= $since
group by source
"""
_DETAILS = """
select call_key, customer_phone, direction, agent_id, started_at
from calls
where call_key in (select unnest($keys))
"""


class CopyUnreadable(Exception):
    """The published copy is damaged, or of another version of aftercall."""


class Snapshot(Protocol):
    """The published copy of one moment. Every call raises CopyUnreadable."""

    def records(
        self, query: str, values: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a query, by column name."""
        ...

    def batches(self, query: str, values: Mapping[str, Any]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query some thousand at a time: a day can have a million."""
        ...


class PublishedCopy(Protocol):
    """The published copy, whichever file that is at the moment. For several threads."""

    def version(self) -> object:
        """Return a value that changes with every publish; None before the first."""
        ...

    def published_at(self) -> datetime | None:
        """Return when the copy was put in place (UTC); None before the first."""
        ...

    def loaded_at(self) -> datetime | None:
        """Return when events were loaded last (UTC); None before the first load."""
        ...

    def opened(self) -> AbstractContextManager[Snapshot | None]:
        """Open the copy of this moment for several questions; None before the first. Raises CopyUnreadable."""
        ...


OpenCopy = Callable[[], PublishedCopy]
"""Opens the copy in the process that serves the board, to which this must be passed."""


@dataclass(frozen=True)
class CopiedCalls:
    """What the live state starts from.

    `received_until`: the receipt of the newest event in the copy; what came later is in the landing store alone.
    """

    received_until: datetime
    calls: Iterator[Receipts]
    sources: dict[str, datetime]


def copied_calls(copy: PublishedCopy, snapshot: Snapshot, since: datetime) -> CopiedCalls | None:
    """The calls of which the copy has an event received since a moment, the newest first; None without any call."""
    received_until = snapshot.records("select max(updated_at) as newest from calls")[0]["newest"]
    if received_until is None:
        return None
    values = {"since": since.astimezone(UTC).replace(tzinfo=None)}
    sources = {row["source"]: _aware(row["heard_at"]) for row in snapshot.records(_SOURCES, values)}
    # a clock that was ahead must not hide what comes after it was set right
    until = min(_aware(received_until), copy.published_at() or datetime.now(UTC))
    calls = (
        (key, aware(start), aware(end), aware(analytics))
        for batch in snapshot.batches(_CALLS, values)
        for key, start, end, analytics in batch
    )
    return CopiedCalls(until, calls, sources)


def details(snapshot: Snapshot, keys: list[CallKey]) -> dict[CallKey, Detail]:
    """What the copy says of these calls, for showing."""
    return {
        row["call_key"]: Detail(
            row["customer_phone"],
            row["direction"],
            row["agent_id"],
            _aware(row["started_at"]).isoformat() if row["started_at"] else None,
        )
        for row in snapshot.records(_DETAILS, {"keys": keys})
    }


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def aware(moment: datetime | None) -> datetime | None:
    """A moment of the copy, which has UTC without a zone; None stays."""
    return moment and moment.replace(tzinfo=UTC)
