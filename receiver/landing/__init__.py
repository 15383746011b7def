"""The landing store: every accepted body, raw, in order of arrival.

`open_landing` is the one place where the kind of store is chosen; everything else sees only `LandingStore`.
"""

from pathlib import Path

from receiver.landing.local import SEGMENT_BYTES, LocalLandingStore
from receiver.landing.store import (
    READ_BYTES,
    Chunk,
    LandingStore,
    LandingUnavailable,
    Segment,
    SegmentDamaged,
    SegmentOpen,
)

__all__ = [
    "READ_BYTES",
    "Chunk",
    "LandingStore",
    "LandingUnavailable",
    "Segment",
    "SegmentDamaged",
    "SegmentOpen",
    "open_landing",
]


def open_landing(home: Path, segment_bytes: int = SEGMENT_BYTES, min_free_bytes: int = 0) -> LandingStore:
    """The landing store of a state directory. Nothing is created before the first append.

    `segment_bytes`: size at which a segment is closed and the next begun. `min_free_bytes`: free space
    under which `check` says that the store is not ready.
    """
    return LocalLandingStore(home / "landing", segment_bytes=segment_bytes, min_free_bytes=min_free_bytes)
