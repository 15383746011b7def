"""What a landing store is: append a line durably, list segments, read whole lines from a position.

Only the interface and its words. How bytes reach a disk or a bucket belongs to the implementations beside
this file; what a line means belongs to `receiver.envelope`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

READ_BYTES = 8 << 20


class LandingUnavailable(Exception):
    """A line could not be made durable (disk full, read-only, I/O error), and was not acknowledged."""


@dataclass(frozen=True, order=True)
class Segment:
    """One file of the store. `path` is relative to the store, posix style, and sorts by time of creation.

    `size` is the size in bytes now; it may end in a torn line, so a reader's position need not ever reach it.
    """

    path: str
    size: int


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

    def segments(self, after: str = "") -> Iterator[Segment]:
        """Segments whose path sorts behind `after`, in order of path."""
        ...

    def read(self, path: str, offset: int = 0, max_bytes: int = READ_BYTES) -> Chunk:
        """Whole lines of a segment from a byte offset that begins a line.

        At most `max_bytes`, but always at least one line if there is one, however long. A torn last line is
        never returned. Raises FileNotFoundError when the segment is gone, ValueError when the path is none
        of a segment.
        """
        ...

    def check(self) -> None:
        """Try whether an append would work now. Raises LandingUnavailable with the reason if not."""
        ...

    def close(self) -> None:
        """Let go of the open segment. A later append begins a new one."""
        ...
