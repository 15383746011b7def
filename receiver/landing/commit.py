"""Group commit: requests hand over a line each, and all that is waiting becomes durable at once.

Belongs to one event loop. Knows nothing of files: it is given a function that makes lines durable, all or none.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from receiver.landing.store import LandingUnavailable

BATCH_BYTES = 8 << 20
"""A batch is closed at about this size, so that a backlog of large bodies does not double the memory they take."""


class _Entry:
    """A line that somebody waits for. Compared by identity."""

    __slots__ = ("durable", "line", "since")

    def __init__(self, line: bytes, durable: asyncio.Future[None]) -> None:
        self.line = line
        self.durable = durable
        self.since = time.monotonic()


class GroupCommit:
    """One thread writes; while it waits for the disk, the loop reads the requests that make the next batch.

    Nobody is woken but the loop, once a batch. (A thread a request, each waiting for the disk on a lock of its
    own, spent more on waking than on the disk: docs/decisions/0008.)
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        append_all: Callable[[Sequence[bytes]], None],
        committed: Callable[[int, float, str | None], None],
    ) -> None:
        """`committed` is told of each batch: its lines, the seconds it took, and why it failed, None if it did not."""
        self._loop = loop
        self._append_all = append_all
        self._committed = committed
        self._gathered: list[_Entry] = []
        self._handed_over: SimpleQueue[list[_Entry]] = SimpleQueue()
        self._unanswered: dict[_Entry, None] = {}
        threading.Thread(target=self._write_on, name="commit", daemon=True).start()

    async def append(self, line: bytes) -> None:
        """Return when the line is durable. Raises LandingUnavailable when it is not."""
        entry = _Entry(line, self._loop.create_future())
        self._unanswered[entry] = None
        if not self._gathered:
            self._loop.call_soon(self._hand_over)  # behind every request that has come by now
        self._gathered.append(entry)
        await entry.durable

    def give_up(self, seconds: float) -> None:
        """Tell everyone who has waited longer than that that the disk is too slow.

        A line that the disk has already been asked for may still turn up in the store: its sender was told to send
        it again, and the load keeps one row an event.
        """
        limit = time.monotonic() - seconds
        for entry in list(self._unanswered):
            if entry.since > limit:
                break  # they stand in order of their arrival
            self._answer(entry, f"no answer from the disk in {seconds:g} s")

    def _hand_over(self) -> None:
        self._handed_over.put(self._gathered)
        self._gathered = []

    def _write_on(self) -> None:
        """The writer's thread. Takes the next batch by itself: the disk need not wait until the loop has time."""
        while True:
            batch = self._take()
            began = time.perf_counter()
            failure: str | None = None
            try:
                if batch:
                    self._append_all([entry.line for entry in batch])
            except Exception as error:
                failure = str(error) or type(error).__name__
            try:
                self._loop.call_soon_threadsafe(self._release, batch, failure, time.perf_counter() - began)
            except RuntimeError:  # the loop has ended, and with it all who waited
                return

    def _take(self) -> list[_Entry]:
        """All that is waiting, up to the batch limit, but for those whom nobody waits for any more."""
        batch = self._handed_over.get()
        size = sum(len(entry.line) for entry in batch)
        while size < BATCH_BYTES and not self._handed_over.empty():
            more = self._handed_over.get()
            batch += more
            size += sum(len(entry.line) for entry in more)
        return [entry for entry in batch if not entry.durable.done()]

    def _release(self, batch: list[_Entry], failure: str | None, seconds: float) -> None:
        if batch:
            self._committed(len(batch), seconds, failure)
        for entry in batch:
            self._answer(entry, failure)

    def _answer(self, entry: _Entry, failure: str | None) -> None:
        self._unanswered.pop(entry, None)
        if entry.durable.done():
            return
        if failure is None:
            entry.durable.set_result(None)
        else:
            entry.durable.set_exception(LandingUnavailable(failure))
