"""Group commit: many threads hand over a line each, one of them writes all that is waiting, then all go on.

Knows nothing of files: it is given a function that makes a list of lines durable, all or none.
"""

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence

from receiver.landing.store import LandingUnavailable

BATCH_BYTES = 8 << 20
"""A batch is closed at about this size, so that a backlog of large bodies does not double the memory they
take."""


class _Ticket:
    """One waiting line. `wake` is taken on creation and released once: as done, or as the next leader."""

    __slots__ = ("done", "error", "line", "wake")

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.wake = threading.Lock()
        self.wake.acquire()
        self.done = False
        self.error: str | None = None


class GroupCommit:
    """Serialises writes without a thread of its own.

    The first thread to arrive leads: it writes every line that is waiting with one call, hands the lead to
    the first thread that arrived meanwhile, and wakes the threads whose lines it wrote. A lone request
    therefore costs no change of threads at all, and under load each thread is woken exactly once. (A writer
    thread costs two changes for every request; a condition variable wakes everybody for the same lock.)
    """

    def __init__(self, write: Callable[[Sequence[bytes]], None]) -> None:
        self._write = write
        self._reset()
        reference = weakref.WeakMethod(self._reset)

        def after_fork() -> None:
            if reset := reference():
                reset()

        # A child inherits locks whose holders do not exist in it, and lines that its parent is writing.
        os.register_at_fork(after_in_child=after_fork)

    def _reset(self) -> None:
        self._mutex = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._has_leader = False

    def submit(self, line: bytes) -> None:
        """Return when the line is durable. Raises LandingUnavailable when it is not."""
        ticket = _Ticket(line)
        with self._mutex:
            self._waiting.append(ticket)
            follows = self._has_leader
            self._has_leader = True
        if follows:
            ticket.wake.acquire()
        if not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise LandingUnavailable(ticket.error)

    def exclusively(self, work: Callable[[], None]) -> None:
        """Do `work` while nothing is being written."""
        with self._writing:
            work()

    def _lead(self) -> None:
        batch = self._take()
        error: str | None = "the write was interrupted"
        try:
            with self._writing:
                self._write([ticket.line for ticket in batch])
            error = None
        except (LandingUnavailable, OSError, MemoryError) as failure:
            error = str(failure) or type(failure).__name__
        finally:
            # also on KeyboardInterrupt: whoever leads must hand the lead on, or every later request hangs
            with self._mutex:
                successor = self._waiting[0] if self._waiting else None
                self._has_leader = successor is not None
            if successor is not None:
                successor.wake.release()
            for ticket in batch:
                ticket.error = error
                ticket.done = True
                ticket.wake.release() if ticket is not batch[0] else None

    def _take(self) -> list[_Ticket]:
        """The waiting tickets up to the batch limit; the first is the leader's own."""
        batch: list[_Ticket] = []
        size = 0
        with self._mutex:
            while self._waiting and (not batch or size + len(self._waiting[0].line) <= BATCH_BYTES):
                ticket = self._waiting.popleft()
                size += len(ticket.line)
                batch.append(ticket)
        return batch
