"""Whether an event would be taken now, asked of the disk itself, which may be slow to answer or never answer."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from receiver.landing import LandingStore, LandingUnavailable


class Readiness:
    """One look at a time: a disk that hangs holds one thread, however often it is asked about."""

    def __init__(self, landing: LandingStore, seconds: float) -> None:
        """`seconds`: how long to wait for the disk."""
        self._landing = landing
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, "readiness")
        self._lock = threading.Lock()
        self._look: Future[None] | None = None

    def check(self) -> None:
        """Raises LandingUnavailable with the reason when an event would not be taken."""
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
