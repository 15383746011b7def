"""Following the landing store: a thread that folds what is new, and keeps how far it came.

The snapshot only saves reading a day again: without it, or with one that cannot be used, everything is read, the
newest segment first.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from integrations.board.config import BoardSettings
from integrations.board.live import Live, LiveView
from receiver.landing import LandingStore, Segment, SegmentDamaged

LOG = logging.getLogger("aftercall.board")
POLL_SECONDS = 0.15
REFRESH_SECONDS = 5.0
"""A call without an end leaves, and a new day begins, though nothing arrives."""
SNAPSHOT_SECONDS = 60.0
SHOW_SECONDS = 0.3
_PIECE = 4 << 20
_RECENT = timedelta(hours=2)


class Tail(threading.Thread):
    """Reads for as long as the process lives; tells `show` of every change, a few times a second at most."""

    def __init__(
        self, settings: BoardSettings, store: LandingStore, show: Callable[[LiveView], None]
    ) -> None:
        super().__init__(name="tail", daemon=True)
        self._settings, self._store, self._show = settings, store, show
        self._positions: dict[str, int] = {}
        self._unread = 0
        self._problem = ""
        self._is_read = False
        self._shown_at = self._kept_at = 0.0
        self._is_new = False
        self._ended = threading.Event()
        self._live = self._fresh()

    def _fresh(self) -> Live:
        return Live(self._settings.zone, self._settings.no_end_after, datetime.now(UTC))

    @property
    def snapshot(self) -> Path:
        """Where the state is kept."""
        return self._settings.home / "board" / "live.json"

    def run(self) -> None:
        """Until `stop`."""
        self._restore()
        self._kept_at = time.monotonic()
        looked_at = 0.0
        while not self._ended.is_set():
            everything = time.monotonic() - looked_at > REFRESH_SECONDS
            if everything:
                looked_at = time.monotonic()
                self._live.roll(datetime.now(UTC))
            try:
                self._read(everything or not self._is_read)
                self._problem = ""
            except OSError as error:
                self._problem = f"the landing store cannot be read: {error.strerror}"
                LOG.error("%s", self._problem)
            if self._is_new or everything:
                self._tell()
            if self._is_read and time.monotonic() - self._kept_at > SNAPSHOT_SECONDS:
                self.keep()
            self._ended.wait(POLL_SECONDS)

    def stop(self) -> None:
        """End within a moment, and keep the state for the next start."""
        self._ended.set()
        self.join(5)
        if not self.is_alive() and self._is_read:
            self.keep()

    def _read(self, everything: bool) -> None:
        since = self._live.window_start if everything else datetime.now(UTC) - _RECENT
        behind = [
            segment
            for segment in self._store.segments(after=f"{since:%Y-%m-%d/%H}")
            if segment.size > self._positions.get(segment.path, 0)
        ]
        self._unread = sum(segment.size - self._positions.get(segment.path, 0) for segment in behind)
        for segment in reversed(behind):
            self._read_segment(segment)
            if self._ended.is_set():
                return
        if everything and not self._is_read:
            self._is_read = self._is_new = True
            self._kept_at = -SNAPSHOT_SECONDS

    def _read_segment(self, segment: Segment) -> None:
        position = self._positions.get(segment.path, 0)
        try:
            while (chunk := self._store.read(segment.path, position, _PIECE)).data:
                for line in chunk.data.splitlines():
                    self._is_new |= self._live.fold(line)
                self._unread -= chunk.next_offset - position
                position = self._positions[segment.path] = chunk.next_offset
                if time.monotonic() - self._shown_at > SHOW_SECONDS:
                    self._tell()
                if self._ended.is_set():
                    return
        except SegmentDamaged as error:
            LOG.error("%s", error)
            self._positions[segment.path] = segment.size
        except FileNotFoundError:
            self._positions.pop(segment.path, None)

    def _tell(self) -> None:
        self._shown_at, self._is_new = time.monotonic(), False
        self._show(
            self._live.view(
                datetime.now(UTC), max(self._unread, 0), is_read=self._is_read, problem=self._problem
            )
        )

    def keep(self) -> None:
        """Write the snapshot beside and put it in place."""
        self._kept_at = time.monotonic()
        try:
            self.snapshot.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = self.snapshot.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_bytes(orjson.dumps(self._live.dump() | {"positions": self._positions}))
            fresh.replace(self.snapshot)
        except OSError as error:
            LOG.warning("the board's snapshot cannot be written: %s", error.strerror)

    def _restore(self) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            kept: dict[str, Any] = orjson.loads(self.snapshot.read_bytes())
            positions = {str(path): int(position) for path, position in kept["positions"].items()}
            if self._live.restore(kept):
                self._positions = positions
                return
        self._live = self._fresh()
