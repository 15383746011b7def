"""What a landing store is: append lines durably, list segments, read whole lines from a position, keep house.

Only the interface and its words. How bytes reach a disk or a bucket belongs to the implementations beside
this file; what a line means belongs to `receiver.envelope`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

READ_BYTES = 8 << 20


class UnknownLanding(ValueError):
    """The URL names no kind of store that is supported; the message lists those that are."""


class LandingUnavailable(Exception):
    """A line could not be made durable (disk full, read-only, I/O error), and was not acknowledged."""


class SegmentOpen(Exception):
    """A segment that is still written, or may be, was to be compacted."""


class SegmentDamaged(Exception):
    """A compacted segment cannot be read; the message names the file and what to do."""


@dataclass(frozen=True, order=True)
class Segment:
    """A part of the store. `path` is relative to the store, posix style, and sorts by time of creation.

    `size` is the size in bytes now; it may end in a torn line, so a reader's position need not ever reach it.
    Path, size and every position stay the same when the segment is compacted (`is_archived`), which changes only
    `stored_bytes`, what it takes of the disk. `written_at`: when its last line came, UTC.
    """

    path: str
    size: int
    written_at: datetime = field(compare=False)
    stored_bytes: int = field(compare=False)
    is_archived: bool = field(compare=False)


@dataclass(frozen=True)
class Chunk:
    """Whole lines, ending in a newline (or nothing), and the byte offset behind them."""

    data: bytes
    next_offset: int


@dataclass(frozen=True)
class Piece:
    """Whole lines of a segment, ending in a newline, from byte `offset` of it."""

    segment: Segment
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The byte offset behind them."""
        return self.offset + len(self.data)


class LandingStore(Protocol):
    """Every accepted body, in order of arrival. Opened by `open_landing`."""

    def append(self, lines: Sequence[bytes]) -> None:
        """Add lines, each of which ends in its only newline, all of them or none; durable on return. Thread-safe.

        Raises LandingUnavailable when they could not be made durable, ValueError when one is not a line.
        """
        ...

    def segments(self, after: str = "", archived_after: str = "") -> Iterator[Segment]:
        """Segments whose path sorts behind `after`, in order of path; archived ones only behind `archived_after`."""
        ...

    def settled_before(self, now: datetime) -> datetime:
        """The moment before which a listing lacks nothing: no segment will appear any more that was begun earlier.

        What began later, a reader has to remember by its path.
        """
        ...

    def read(self, path: str, offset: int = 0, max_bytes: int = READ_BYTES) -> Chunk:
        """Whole lines of a segment from a byte offset that begins a line.

        At most `max_bytes`, but always at least one line if there is one, however long. A torn last line is
        never returned. Raises FileNotFoundError when the segment is gone, ValueError when the path is none
        of a segment, SegmentDamaged when it was archived and cannot be read.
        """
        ...

    def read_all(self, parts: Iterable[tuple[Segment, int]], max_bytes: int = READ_BYTES) -> Iterator[Piece]:
        """Every whole line of segments, each from an offset to the size it was listed with, in order.

        About `max_bytes` at a time, as `read` has it. What was removed since it was listed is passed over. Other
        segments than the first may be fetched ahead. Raises SegmentDamaged.
        """
        ...

    def compact(self, segment: Segment) -> Segment:
        """Store a closed segment in less space, so that every reader goes on as before; safe against a kill.

        Gives the segment as it is then. Raises SegmentOpen when it is written or has grown since it was listed,
        FileNotFoundError when it is gone, SegmentDamaged when another archive stands in its way, OSError when the
        disk fails; the segment then is as it was.
        """
        ...

    def remove(self, path: str) -> None:
        """Delete a compacted segment for good; one that is gone already is no error."""
        ...

    def check(self) -> None:
        """Try whether an append would work now. Raises LandingUnavailable with the reason if not."""
        ...

    def close(self) -> None:
        """Let go of the open segment. A later append begins a new one."""
        ...
