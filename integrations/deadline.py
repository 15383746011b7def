"""A limit on how long a call to another system may take as a whole, whatever part of it hangs.

Time-outs of sockets count from byte to byte and say nothing of name resolution, so a system that sends a byte now
and then holds its caller for ever. What follows from a time-out belongs to the callers.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class DeadlineExceeded(TimeoutError):
    """The call took too long; whether the other system did what it was asked for is not known."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises, or DeadlineExceeded after so many seconds.

    A call that is given up goes on in a thread that nobody waits for: the caller must not use its connection again.
    """
    done: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            done.put((call(), None))
        except BaseException as error:  # handed over whole: it is raised again where the call was made
            done.put((None, error))

    Thread(target=run, name="aftercall-deadline", daemon=True).start()
    try:
        result, error = done.get(timeout=seconds)
    except Empty:
        raise DeadlineExceeded(f"no end after {seconds:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # without an error there is a result
