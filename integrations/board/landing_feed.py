"""Following the landing store: a thread that takes in what is new, and keeps a digest of it there.

At the start the digests are added up. Then what is new comes first, and what is behind after it, the newest segment
first, so that the calls on the line are known long before the day is counted where digests are missing.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from integrations.board import kept
from integrations.board.call_state import Digest, digest_of
from integrations.board.config import BoardSettings
from integrations.board.live_calls import Live, LiveView
from receiver.landing import LandingStore, Segment, SegmentDamaged

LOG = logging.getLogger("aftercall.board")
POLL_SECONDS = 0.15
REFRESH_SECONDS = 5.0
"""A call without an end leaves, and a new day begins, though nothing arrives."""
KEEP_LINES = 25_000
KEEP_SECONDS = 600.0
"""Digests are kept after so many lines or seconds, whichever comes first: what a kill leaves to be read again."""
READ_SECONDS = 0.3
"""How long what is behind is read before a look at what is new."""
RETRY_SECONDS = 1.0
"""After an error, so that it neither fills the log nor takes a core."""
SKIP_SECONDS = 30.0
"""How long a segment that could not be read is passed over."""
_PIECE = 8 << 20
_RECENT = timedelta(hours=2)


class Tail(threading.Thread):
    """Reads for as long as the process lives; tells `show` of every change, a few times a second at most."""

    def __init__(
        self, settings: BoardSettings, store: LandingStore, show: Callable[[LiveView], None]
    ) -> None:
        super().__init__(name="tail", daemon=True)
        self._settings, self._store, self._show = settings, store, show
        self._positions: dict[str, int] = {}
        self._unkept: dict[str, Digest] = {}
        self._unread = 0
        self._problem = ""
        self._skipped: dict[str, tuple[float, str]] = {}
        self._is_current = self._is_read = self._is_new = False
        self._lines, self._kept_at = 0, time.monotonic()
        self._ended = threading.Event()
        self._live = Live(settings.zone, settings.no_end_after, datetime.now(UTC))

    def run(self) -> None:
        """Until `stop`. Nothing else follows the landing store, so no error may end it."""
        looked_at = float("-inf")
        while not self._ended.is_set():
            problem, pause = "", POLL_SECONDS if self._is_read else 0.0
            everything = time.monotonic() - looked_at > REFRESH_SECONDS
            try:
                if looked_at < 0:
                    self._add_kept()
                if everything:
                    looked_at = time.monotonic()
                    if self._live.roll(datetime.now(UTC)):
                        self._forget()
                self._read(everything or not self._is_read)
                problem = next((why for _, why in self._skipped.values()), "")
            except Exception as error:
                problem = f"the landing store cannot be read: {_reason(error)}"
                pause = RETRY_SECONDS
                self._note(problem, error)
            is_told = problem == self._problem and not self._is_new and not everything and self._is_read
            self._problem = problem
            if not is_told:
                self._try(self._tell)
            if self._lines >= KEEP_LINES or time.monotonic() - self._kept_at > KEEP_SECONDS:
                self._try(self._keep)
            self._ended.wait(pause)

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            LOG.exception("the board cannot show or keep what it read", exc_info=error)
            self._ended.wait(RETRY_SECONDS)

    def _note(self, problem: str, error: Exception) -> None:
        """Once for as long as it is the same."""
        if problem != self._problem:
            LOG.error("%s", problem, exc_info=None if isinstance(error, OSError) else error)

    def stop(self) -> None:
        """End within a moment, and keep what was read for the next start."""
        self._ended.set()
        self.join(5)
        if not self.is_alive():
            self._keep()

    def _add_kept(self) -> None:
        for segment in self._store.segments(after=f"{self._live.window_start:%Y-%m-%d/%H}"):
            digest = kept.load(self._store, segment.path)
            if digest is not None and self._live.can_add(digest):
                self._is_new |= self._live.add(digest)
                self._positions[segment.path] = digest.end

    def _read(self, everything: bool) -> None:
        """What is new, and for a moment what is behind."""
        now = datetime.now(UTC)
        since = self._live.window_start if everything else now - _RECENT
        listed = list(self._store.segments(after=f"{since:%Y-%m-%d/%H}"))
        if everything:
            self._skipped = {
                each.path: self._skipped[each.path] for each in listed if each.path in self._skipped
            }
        behind = [
            segment
            for segment in listed
            if segment.size > self._positions.get(segment.path, 0) and not self._is_skipped(segment.path)
        ]
        self._unread = sum(segment.size - self._positions.get(segment.path, 0) for segment in behind)
        until = time.monotonic() + READ_SECONDS
        newest_first = reversed(behind)
        unfinished = next((each.path for each in newest_first if not self._read_segment(each, until)), "")
        self._is_current |= unfinished < f"{now - self._settings.no_end_after:%Y-%m-%d/%H}"
        if everything and not unfinished and not self._is_read:
            self._is_read = self._is_new = True

    def _read_segment(self, segment: Segment, until: float) -> bool:
        """Read a segment from where it was left; whether to its end, rather than until the time was up."""
        position = self._positions.get(segment.path, 0)
        try:
            while (chunk := self._store.read(segment.path, position, _PIECE)).data:
                told = digest_of(chunk.data, position, is_old=self._live.is_old)
                self._is_new |= self._live.take(chunk.data, told)
                self._unkept.setdefault(segment.path, Digest(begin=position, end=position)).add(told)
                self._lines += chunk.data.count(b"\n")
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

    def _tell(self) -> None:
        self._is_new = False
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

    def _keep(self) -> None:
        self._lines, self._kept_at = 0, time.monotonic()
        for path, digest in self._unkept.items():
            try:
                kept.keep(self._store, path, digest)
            except FileNotFoundError:
                continue  # removed meanwhile
            except OSError as error:
                LOG.warning("what was read of %s cannot be kept beside it: %s", path, error)
        self._unkept.clear()

    def _forget(self) -> None:
        """Of segments that are too old to be read, how far they were read."""
        since = f"{self._live.window_start:%Y-%m-%d/%H}"
        self._positions = {path: read for path, read in self._positions.items() if path > since}


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
