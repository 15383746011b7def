"""A load generator: one prepared request over many keep-alive connections, from a process of its own.

`python -m tests.bench.http_load PORT CONNECTIONS SECONDS [RATE]` reads the request's bytes from standard input and
prints one line of JSON. Without a rate every connection sends again as soon as it is answered. With one, requests
fall due at even steps whether or not earlier ones were answered, and the wait of a late one counts from when it
fell due, so that a server that stalls cannot hide it. What the figures mean belongs to the benches.
"""

import contextlib
import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Load:
    """What a server answered: counts by status, and percentiles of the wait in milliseconds."""

    answers: dict[str, int]
    seconds: float
    p50: float
    p99: float
    p999: float

    @property
    def per_second(self) -> float:
        """Answers of status 200 a second."""
        return self.answers.get("200", 0) / self.seconds


def measure(port: int, request: bytes, connections: int, seconds: float, rate: float | None = None) -> Load:
    """Load a server on loopback from another process. Raises CalledProcessError when it hangs up."""
    arguments = [str(port), str(connections), str(seconds), *([str(rate)] if rate else [])]
    command = [sys.executable, "-m", "tests.bench.http_load", *arguments]
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True, cwd=_ROOT)
    return Load(**json.loads(done.stdout))


@dataclass
class _Connection:
    sock: socket.socket
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    received: bytes = b""
    due: float = 0.0


class _Generator:
    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self._request = memoryview(request)
        self._epoll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        for _ in range(connections):
            sock = socket.create_connection(("127.0.0.1", port), timeout=20)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self._connections[sock.fileno()] = _Connection(sock)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        self.waits: list[float] = []
        self.answers: Counter[str] = Counter()

    def as_fast_as_answered(self, seconds: float) -> float:
        """Run for some seconds; returns the seconds it took until the last request was answered."""
        began = time.perf_counter()
        for connection in self._connections.values():
            self._send(connection, began)
        busy = len(self._connections)
        while busy:
            for fd, events in self._epoll.poll(20):
                connection = self._connections[fd]
                if not self._advance(connection, events):
                    continue
                now = time.perf_counter()
                if now - began < seconds:
                    self._send(connection, now)
                else:
                    busy -= 1
        return time.perf_counter() - began

    def at_rate(self, seconds: float, rate: float) -> float:
        """Run `rate` requests a second for some seconds; returns the seconds until the last answer."""
        idle = deque(self._connections.values())
        total = int(seconds * rate)
        began = time.perf_counter()
        sent = busy = 0
        while sent < total or busy:
            now = time.perf_counter()
            while idle and sent < total and began + sent / rate <= now:
                self._send(idle.popleft(), began + sent / rate)
                sent += 1
                busy += 1
            pause = max(0.0, began + sent / rate - now) if idle and sent < total else 20
            for fd, events in self._epoll.poll(pause):
                connection = self._connections[fd]
                if self._advance(connection, events):
                    idle.append(connection)
                    busy -= 1
        return time.perf_counter() - began

    def _send(self, connection: _Connection, due: float) -> None:
        connection.due = due
        connection.unsent = self._request
        self._push(connection)

    def _push(self, connection: _Connection) -> None:
        with contextlib.suppress(BlockingIOError):
            connection.unsent = connection.unsent[connection.sock.send(connection.unsent) :]
        if connection.unsent:
            self._epoll.modify(connection.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _advance(self, connection: _Connection, events: int) -> bool:
        """Send and receive what can be; whether an answer is complete now."""
        if events & select.EPOLLOUT:
            self._push(connection)
            if not connection.unsent:
                self._epoll.modify(connection.sock.fileno(), select.EPOLLIN)
        if not events & select.EPOLLIN:
            return False
        data = connection.sock.recv(1 << 16)
        if not data:
            raise ConnectionError("the server hung up")
        received = connection.received + data
        head = received.find(_HEAD_END)
        at = received.find(_LENGTH, 0, head)
        if head < 0 or len(received) < head + 4 + int(received[at + 16 : received.find(b"\r", at)]):
            connection.received = received
            return False
        connection.received = b""
        self.waits.append(time.perf_counter() - connection.due)
        self.answers[received[9:12].decode()] += 1
        return True


def main(port: int, connections: int, seconds: float, rate: float | None = None) -> None:
    """Load the server and print what it answered."""
    generator = _Generator(port, sys.stdin.buffer.read(), connections)
    took = generator.at_rate(seconds, rate) if rate else generator.as_fast_as_answered(seconds)
    waits = sorted(generator.waits)

    def percentile(share: float) -> float:
        return waits[min(len(waits) - 1, int(share * len(waits)))] * 1000

    figures = {"p50": percentile(0.5), "p99": percentile(0.99), "p999": percentile(0.999)}
    print(json.dumps({"answers": generator.answers, "seconds": took, **figures}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
