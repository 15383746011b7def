"""How far the load has read: a byte position in each landing segment, stored in dlt's own state.

The positions travel in the same package as the rows, so both are in the warehouse or neither is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from receiver.landing import LandingStore, Segment

_KEPT_DAYS = 3


def unread(
    store: LandingStore, state: dict[str, Any], sizes: Mapping[str, int] | None = None
) -> Iterator[tuple[Segment, int]]:
    """Segments that hold bytes behind their cursor, oldest first, each with its cursor.

    A torn last line keeps its segment in this list for as long as its cursor is kept; reading it yields
    nothing. With `sizes`, by path, what came since the segments had these is left out.
    """
    for segment in store.segments(archived_after=state.get("done_before", "")):
        position = position_of(segment.path, state)
        size = segment.size if sizes is None else min(segment.size, sizes.get(segment.path, 0))
        if size > position:
            yield replace(segment, size=size), position


def backlog_bytes(store: LandingStore, state: dict[str, Any], sizes: Mapping[str, int] | None = None) -> int:
    """Bytes behind the cursors, torn lines included; with `sizes`, of what the segments held at these."""
    return sum(segment.size - position for segment, position in unread(store, state, sizes))


def position_of(path: str, state: dict[str, Any]) -> int:
    """The cursor of a segment; 0 for one that was never read, or whose cursor was forgotten."""
    return int(state.get("cursors", {}).get(path, 0))


def is_loaded(store: LandingStore, segment: Segment, state: dict[str, Any]) -> bool:
    """Whether no whole line of a segment stands behind its cursor. A segment still written may get another."""
    if segment.is_archived and segment.path <= state.get("done_before", ""):
        return True
    position = position_of(segment.path, state)
    try:
        return position >= segment.size or not store.read(segment.path, position, 1).data
    except FileNotFoundError:  # removed since it was listed
        return True


def loaded_bytes(segment: Segment, state: dict[str, Any]) -> int:
    """The cursor of a segment, for showing: all of it where it was forgotten because all of it is loaded."""
    if segment.is_archived and segment.path <= state.get("done_before", ""):
        return segment.size
    return position_of(segment.path, state)


def advance(state: dict[str, Any], path: str, position: int) -> None:
    """Remember how far a segment was read."""
    state.setdefault("cursors", {})[path] = position


def forget(store: LandingStore, state: dict[str, Any]) -> None:
    """Drop the cursors of segments that were removed or need none any more, so that the state stays small.

    Housekeeping archives only what is loaded. So the path `done_before` stands for every archived segment
    before it, and those of the last days keep their cursors. A segment that is not archived keeps its own, however
    old its path: a writer whose clock was set back must not have its events passed over.
    """
    segments = list(store.segments(archived_after=state.get("done_before", "")))
    days = sorted({segment.path[:10] for segment in segments})
    before = days[-_KEPT_DAYS] if len(days) > _KEPT_DAYS else ""
    for segment in segments:
        if segment.is_archived and segment.path < before and not is_loaded(store, segment, state):
            before = segment.path[:10]
    settled = f"{store.settled_before(datetime.now(UTC)):%Y-%m-%d}"
    done_before = max(state.get("done_before", ""), min(before, settled))
    needed = {segment.path for segment in segments if not segment.is_archived or segment.path > done_before}
    cursors: dict[str, int] = state.get("cursors", {})
    state["cursors"] = {path: position for path, position in cursors.items() if path in needed}
    state["done_before"] = done_before
