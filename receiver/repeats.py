"""Limits how often this process writes one event to the landing store.

One recorded delivery, sent for ever, would fill the disk, and the load keeps one row per event anyway. Counts are per
process and in memory: after a restart an event may be written up to the limit again. Writing belongs to
`receiver.landing`.
"""

import hashlib
import threading

MOST_EVENTS = 1 << 15
"""How many events are counted, the latest ones: about 6 MB."""


class _Count:
    """Lines of one event: on disk, and being written."""

    __slots__ = ("landed", "under_way")

    def __init__(self) -> None:
        self.landed = self.under_way = 0


class Repeats:
    """Counts the lines of each event. Thread-safe."""

    def __init__(self, limit: int, most_events: int = MOST_EVENTS) -> None:
        """`limit`: lines per event; 0 is any number."""
        self._limit = limit
        self._most_events = most_events
        self._counts: dict[bytes, _Count] = {}
        self._lock = threading.Lock()

    def begin(self, key: bytes) -> bool:
        """True if the event must be written; then call `end`. False only if a line of it is on disk."""
        if not self._limit:
            return True
        with self._lock:
            count = self._counts.pop(key, None) or _Count()
            self._counts[key] = count  # the latest one is last
            if count.landed and count.landed + count.under_way >= self._limit:
                return False
            count.under_way += 1
            if len(self._counts) > self._most_events:
                del self._counts[next(iter(self._counts))]
            return True

    def end(self, key: bytes, *, is_durable: bool) -> None:
        """Record the outcome of a line that was begun."""
        if not self._limit:
            return
        with self._lock:
            count = self._counts.get(key)
            if count is None:  # dropped meanwhile, for a later event
                return
            count.under_way = max(0, count.under_way - 1)
            count.landed += is_durable


def event_key(source: str, call_id: str | None, event_id: str) -> bytes:
    """A digest of source, call and event id, which make two deliveries one event to the load."""
    call = call_id or ""
    named = f"{source}\n{len(call)}\n{call}{event_id}"
    return hashlib.blake2b(named.encode(), digest_size=16).digest()
