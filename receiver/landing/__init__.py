"""The landing store: every accepted body, raw, in order of arrival.

`open_landing` is the one place where the kind of store is chosen; everything else sees only `LandingStore`.
"""

from collections.abc import Callable

from receiver.landing import local
from receiver.landing.local import SEGMENT_BYTES, LocalLandingStore
from receiver.landing.store import (
    READ_BYTES,
    Chunk,
    LandingStore,
    LandingUnavailable,
    Piece,
    Segment,
    SegmentDamaged,
    SegmentOpen,
    UnknownLanding,
)

__all__ = [
    "READ_BYTES",
    "Chunk",
    "LandingStore",
    "LandingUnavailable",
    "Piece",
    "Segment",
    "SegmentDamaged",
    "SegmentOpen",
    "UnknownLanding",
    "free_bytes_of",
    "open_landing",
]


def open_landing(url: str, segment_bytes: int = SEGMENT_BYTES, min_free_bytes: int = 0) -> LandingStore:
    """The landing store that a URL names. Nothing is created before the first append.

    Of a local store: `segment_bytes` is the size at which a segment is closed and the next begun, `min_free_bytes` the
    free space under which `check` says that the store is not ready. Raises UnknownLanding for a URL of another scheme
    than those supported.
    """
    scheme = url.partition(":")[0]
    if scheme != local.SCHEME:  # the rest of the URL may hold a password
        raise UnknownLanding(
            f"AFTERCALL_LANDING_URL: no landing store is reached by {scheme!r}; supported: {local.FORM}"
        )
    return LocalLandingStore(local.path_of(url), segment_bytes=segment_bytes, min_free_bytes=min_free_bytes)


def free_bytes_of(store: LandingStore) -> Callable[[], int] | None:
    """What says how many bytes can still be written; None of a store that no disk bounds."""
    return store.free_bytes if isinstance(store, LocalLandingStore) else None
