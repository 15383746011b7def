"""How far the load has read: a byte position in each landing segment, kept in dlt's own state.

The positions travel in the same package as the rows, so both are in the warehouse or neither is.
"""

from collections.abc import Iterator
from typing import Any

from receiver.landing import LandingStore, Segment

_KEPT_DAYS = 3


def unread(store: LandingStore, state: dict[str, Any]) -> Iterator[tuple[Segment, int]]:
    """Segments that hold bytes behind their cursor, oldest first, each with its cursor.

    A torn last line keeps its segment in this list for as long as its cursor is kept; reading it yields
    nothing.
    """
    cursors: dict[str, int] = state.get("cursors", {})
    for segment in store.segments(after=state.get("done_before", "")):
        position = cursors.get(segment.path, 0)
        if segment.size > position:
            yield segment, position


def backlog_bytes(store: LandingStore, state: dict[str, Any]) -> int:
    """Bytes behind the cursors, torn lines included."""
    return sum(segment.size - position for segment, position in unread(store, state))


def advance(state: dict[str, Any], path: str, position: int) -> None:
    """Remember how far a segment was read, and forget segments of days long past.

    A segment's path begins with the day on which its writer opened it, and a writer opens a new one every
    hour. So what is three days behind the newest one read is never written again, and a single path stands
    for all of it: the state stays small for ever.
    """
    cursors: dict[str, int] = state.setdefault("cursors", {})
    cursors[path] = position
    days = sorted({known[:10] for known in cursors})
    if len(days) > _KEPT_DAYS:
        keep = days[-_KEPT_DAYS]
        for known in [known for known in cursors if known[:10] < keep]:
            del cursors[known]
        state["done_before"] = max(state.get("done_before", ""), keep)
