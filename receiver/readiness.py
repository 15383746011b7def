"""Readiness: checks the landing disk, which may answer slowly or never."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from receiver.landing import LandingStore, LandingUnavailable


class Readiness:
    """Runs one check at a time, so that a disk that hangs blocks one thread only."""

    def __init__(self, landing: LandingStore, seconds: float) -> None:
        """`seconds`: time to wait for the disk."""
        self._landing = landing
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, "readiness")
        self._lock = threading.Lock()
        self._look: Future[None] | None = None

    def check(self) -> None:
        """Raise LandingUnavailable with the reason if an event could not be written now."""
        with self._lock:
            if self._look is None or self._look.done():
                self._look = self._thread.submit(self._landing.check)
            look = self._look
        try:
            look.result(self._seconds)
        except TimeoutError:
            raise LandingUnavailable(
                f"the landing disk has not answered within {self._seconds:g} s"
            ) from None
