"""Following the landing store: a thread that keeps the live state up to date.

It starts from the published copy and reads the lines that landed after it. What is new is read first, then what is
behind, the newest segment first, so that the calls on the line are known long before the day is counted where there is
no copy yet. What lines mean belongs to `live_calls`.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from integrations.board.config import BoardSettings
from integrations.board.live_calls import LiveCalls, LiveView
from integrations.board.published import CopyUnreadable, PublishedCopy, copied_calls, details
from receiver.landing import LandingStore, Segment, SegmentDamaged

LOG = logging.getLogger("aftercall.board")
POLL_SECONDS = 0.15
REFRESH_SECONDS = 5.0
"""A call without an end leaves, and a new day begins, though nothing arrives."""
READ_SECONDS = 0.3
"""How long what is behind is read before a look at what is new."""
RETRY_SECONDS = 1.0
"""After an error, so that it neither fills the log nor takes a core."""
SKIP_SECONDS = 30.0
"""How long a segment that could not be read is passed over."""
OVERLAP = timedelta(minutes=30)
"""Lines received so long before the newest event of the copy are read again: one may have become durable after it."""
_PIECE = 8 << 20
_RECENT = timedelta(hours=2)


class LandingFeed(threading.Thread):
    """Reads for as long as the process lives; calls `show` after every change, a few times a second at most."""

    def __init__(
        self,
        settings: BoardSettings,
        store: LandingStore,
        copy: PublishedCopy,
        show: Callable[[LiveView], None],
    ) -> None:
        super().__init__(name="tail", daemon=True)
        self._settings, self._store, self._copy, self._show = settings, store, copy, show
        self._positions: dict[str, int] = {}
        self._covered_until = datetime.min.replace(tzinfo=UTC)
        self._unread = 0
        self._problem = ""
        self._skipped: dict[str, tuple[float, str]] = {}
        self._is_current = self._is_read = self._is_new = False
        self._ended = threading.Event()
        self._live = LiveCalls(settings.zone, settings.no_end_after, datetime.now(UTC))

    def run(self) -> None:
        """Until `stop`. Nothing else follows the landing store, so no error may end it."""
        self._start_from_copy()
        looked_at = float("-inf")
        while not self._ended.is_set():
            problem, pause = "", POLL_SECONDS if self._is_read else 0.0
            is_full_look = time.monotonic() - looked_at > REFRESH_SECONDS
            try:
                if is_full_look:
                    looked_at = time.monotonic()
                    if self._live.roll(datetime.now(UTC)):
                        self._forget()
                self._read(is_full_look or not self._is_read)
                problem = next((why for _, why in self._skipped.values()), "")
            except Exception as error:
                problem = f"the landing store cannot be read: {_reason(error)}"
                pause = RETRY_SECONDS
                self._note(problem, error)
            is_shown = problem == self._problem and not self._is_new and not is_full_look and self._is_read
            self._problem = problem
            if not is_shown:
                self._show_state()
            self._ended.wait(pause)

    def stop(self) -> None:
        """End within a moment."""
        self._ended.set()
        self.join(5)

    def _note(self, problem: str, error: Exception) -> None:
        """Log a problem once for as long as it is the same."""
        if problem != self._problem:
            LOG.error("%s", problem, exc_info=None if isinstance(error, OSError) else error)

    def _start_from_copy(self) -> None:
        """Take in the calls of the published copy; without one, the lines of the day are read instead."""
        try:
            with self._copy.opened() as snapshot:
                copied = snapshot and copied_calls(self._copy, snapshot, self._live.window_start)
                if snapshot and copied:
                    self._live.start_from(copied.calls, copied.sources)
                    self._live.add_details(details(snapshot, self._live.shown()))
                    self._covered_until = copied.received_until - OVERLAP
        except (CopyUnreadable, OSError) as error:
            LOG.warning(
                "The board starts from the landing store alone: the published copy is unreadable: %s", error
            )
            self._live = LiveCalls(self._settings.zone, self._settings.no_end_after, datetime.now(UTC))

    def _read_after(self) -> str:
        """The hour whose segments are the first to be read, as the beginning of a path."""
        since = max(self._live.window_start, self._covered_until)
        return f"{since:%Y-%m-%d/%H}"

    def _read(self, is_full_look: bool) -> None:
        """Read what is new, and for a moment what is behind."""
        now = datetime.now(UTC)
        after = self._read_after()
        if not is_full_look:
            after = max(after, f"{now - _RECENT:%Y-%m-%d/%H}")
        segments = list(self._store.segments(after=after))
        if is_full_look:
            self._skipped = {
                each.path: self._skipped[each.path] for each in segments if each.path in self._skipped
            }
        behind = [
            segment
            for segment in segments
            if segment.size > self._positions.get(segment.path, 0) and not self._is_skipped(segment.path)
        ]
        self._unread = sum(segment.size - self._positions.get(segment.path, 0) for segment in behind)
        until = time.monotonic() + READ_SECONDS
        newest_first = reversed(behind)
        unfinished = next((each.path for each in newest_first if not self._read_segment(each, until)), "")
        self._is_current |= unfinished < f"{now - self._settings.no_end_after:%Y-%m-%d/%H}"
        if is_full_look and not unfinished and not self._is_read:
            self._live.settle()
            self._is_read = self._is_new = True

    def _read_segment(self, segment: Segment, until: float) -> bool:
        """Read a segment from where it was left; returns False if the time was up before its end."""
        position = self._positions.get(segment.path, 0)
        try:
            while (chunk := self._store.read(segment.path, position, _PIECE)).data:
                self._is_new |= self._live.read(chunk.data)
                self._unread -= chunk.next_offset - position
                position = self._positions[segment.path] = chunk.next_offset
                if self._ended.is_set() or time.monotonic() > until:
                    return False
        except SegmentDamaged as error:
            LOG.error("%s", error)
            self._positions[segment.path] = segment.size
        except FileNotFoundError:
            self._positions.pop(segment.path, None)
        except Exception as error:
            problem = f"{segment.path} cannot be read: {_reason(error)}"
            self._note(problem, error)
            self._skipped[segment.path] = time.monotonic() + SKIP_SECONDS, problem
        else:
            self._skipped.pop(segment.path, None)
        return True

    def _is_skipped(self, path: str) -> bool:
        until, _ = self._skipped.get(path, (0.0, ""))
        return time.monotonic() < until

    def _show_state(self) -> None:
        self._is_new = False
        try:
            view = self._live.view(datetime.now(UTC))
            self._show(
                replace(
                    view,
                    unended=view.unended if self._is_read else [],
                    unread_bytes=max(self._unread, 0),
                    is_current=self._is_current,
                    is_read=self._is_read,
                    problem=self._problem,
                )
            )
        except Exception as error:
            LOG.exception("The board cannot show what it read.", exc_info=error)
            self._ended.wait(RETRY_SECONDS)

    def _forget(self) -> None:
        """Forget how far segments were read that are too old to be read."""
        after = self._read_after()
        self._positions = {path: position for path, position in self._positions.items() if path > after}


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
