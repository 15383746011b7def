"""Clients that do not behave, at a steady pace, beside which a bench measures one that does.

Slow ones send a body byte by byte, half-open ones never finish a head, pipelining ones do not wait for answers, lying
ones declare more than they send. What that costs the others belongs to the benches.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SLOW = HALF_OPEN = 100
PIPELINED = 20
PAUSE_SECONDS = 0.1
_HEAD = (
    b"POST /webhooks/atoms HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
)


@contextmanager
def rude_clients(port: int, request: bytes) -> Iterator[None]:
    """All four kinds in the background; `request` is a good one, which the pipelining ones send."""
    over = threading.Event()
    acts: list[Callable[[], None]] = [
        _Waiting(port, _HEAD, SLOW).act,
        _Waiting(port, _HEAD[:20], HALF_OPEN).act,
        lambda: _pipeline(port, request),
        lambda: _lie(port),
    ]
    threads = [threading.Thread(target=_go_on, args=(act, over)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _go_on(act: Callable[[], None], over: threading.Event) -> None:
    while not over.wait(PAUSE_SECONDS):
        with contextlib.suppress(OSError):  # the server hung up, as it may on such clients
            act()


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


class _Waiting:
    """So many connections that have sent the beginning of a request; one of them sends a byte more at a time."""

    def __init__(self, port: int, beginning: bytes, count: int) -> None:
        self._port = port
        self._beginning = beginning
        self._count = count
        self._open: list[socket.socket] = []

    def act(self) -> None:
        while len(self._open) < self._count:
            self._open.append(_connect(self._port))
            self._open[-1].sendall(self._beginning)
        oldest = self._open.pop(0)
        oldest.sendall(b"x")
        oldest.setblocking(False)
        try:
            oldest.recv(1 << 16)
        except BlockingIOError:
            self._open.append(oldest)  # it has no answer yet
        else:
            oldest.close()


def _pipeline(port: int, request: bytes) -> None:
    with _connect(port) as connection:
        connection.sendall(request * PIPELINED)
        answers = b""
        while answers.count(b"HTTP/1.1 ") < PIPELINED and (data := connection.recv(1 << 16)):
            answers += data


def _lie(port: int) -> None:
    for ending in (b"{}", b"{}" * 1000):  # less than was declared, and more
        with _connect(port) as connection:
            connection.sendall(_HEAD + ending)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
