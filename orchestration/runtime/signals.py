"""SIGINT and SIGTERM end a command at any moment, also inside a library that ignores signals.

Dagster delays signals until its next step, and C code until it returns. So a separate thread receives them too, and
ends the process if the main thread does not end in time. The work is then left as after a power cut, which every step
survives. `aftercall up`, which has children to end, does that in `tools/children.py`.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

GRACE_SECONDS = 5.0
"""Seconds that the main thread has to end by itself after a signal."""
ENDING = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Heard:
    """The first signal that asked this process to end; `number` is None before one came."""

    number: int | None = None
    _is_over: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came, even where a library swallowed it."""
        if self.number is not None:
            raise KeyboardInterrupt

    def exit_code(self) -> int:
        """The exit code that shells expect of a process ended by this signal."""
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def ended_by_signals() -> Iterator[Heard]:
    """Inside, a signal raises KeyboardInterrupt, and ends the process if it is still running after `GRACE_SECONDS`.

    Call in the main thread.
    """
    heard = Heard()
    ours, python = socket.socketpair()
    python.setblocking(False)
    before = {number: signal.signal(number, signal.default_int_handler) for number in ENDING}
    # warns on nothing: two signals at once fill no buffer
    fd_before = signal.set_wakeup_fd(python.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(ours, heard), daemon=True, name="signals")
    listener.start()
    try:
        yield heard
    finally:
        heard._is_over.set()
        signal.set_wakeup_fd(fd_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        python.close()
        listener.join()
        ours.close()


def _listen(ours: socket.socket, heard: Heard) -> None:
    while numbers := ours.recv(16):
        asked = [number for number in numbers if number in ENDING]
        if asked and heard.number is None:
            heard.number = asked[0]
            if not heard._is_over.wait(GRACE_SECONDS):
                os._exit(heard.exit_code())
