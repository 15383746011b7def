"""What a landing store is: append a line durably, list segments, read whole lines from a position, keep house.

Only the interface and its words. How bytes reach a disk or a bucket belongs to the implementations beside
this file; what a line means belongs to `receiver.envelope`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

READ_BYTES = 8 << 20


class LandingUnavailable(Exception):
    """A line could not be made durable (disk full, read-only, I/O error), and was not acknowledged."""


class SegmentOpen(Exception):
    """A segment that is still written, or may be, was to be archived."""


class SegmentDamaged(Exception):
    """An archived segment cannot be read; the message names the file and what to do."""


@dataclass(frozen=True, order=True)
class Segment:
    """One file of the store. `path` is relative to the store, posix style, and sorts by time of creation.

    `size` is the size in bytes now; it may end in a torn line, so a reader's position need not ever reach it.
    Path, size and every position stay the same when the segment is archived, which changes only `stored_bytes`, what
    it takes of the disk. `written_at`: when its last line came, UTC.
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


class LandingStore(Protocol):
    """Every accepted body, in order of arrival."""

    def append(self, line: bytes) -> None:
        """Add one line, which ends in its only newline; durable on return. Thread-safe.

        Raises LandingUnavailable when it could not be made durable, ValueError when it is not one line.
        """
        ...

    def append_all(self, lines: Sequence[bytes]) -> None:
        """Add lines with one write and one sync, all of them or none; otherwise like `append`."""
        ...

    def segments(self, after: str = "", archived_after: str = "") -> Iterator[Segment]:
        """Segments whose path sorts behind `after`, in order of path; archived ones only behind `archived_after`."""
        ...

    def read(self, path: str, offset: int = 0, max_bytes: int = READ_BYTES) -> Chunk:
        """Whole lines of a segment from a byte offset that begins a line.

        At most `max_bytes`, but always at least one line if there is one, however long. A torn last line is
        never returned. Raises FileNotFoundError when the segment is gone, ValueError when the path is none
        of a segment, SegmentDamaged when it was archived and cannot be read.
        """
        ...

    def archive(self, segment: Segment) -> Segment:
        """Compress a closed segment in place, so that every reader goes on as before; safe against a kill.

        Gives the segment as it is then. Raises SegmentOpen when it is written or has grown since it was listed,
        FileNotFoundError when it is gone, SegmentDamaged when another archive stands in its way, OSError when the
        disk fails; the segment then is as it was.
        """
        ...

    def remove(self, path: str) -> None:
        """Delete an archived segment for good; one that is gone already is no error."""
        ...

    def check(self) -> None:
        """Try whether an append would work now. Raises LandingUnavailable with the reason if not."""
        ...

    def free_bytes(self) -> int:
        """Bytes that can still be written, the reserve included. Raises OSError."""
        ...

    def close(self) -> None:
        """Let go of the open segment. A later append begins a new one."""
        ...
