"""Where a request and its answer begin and end, in HTTP/1.1 and in SMTP; and how each says that something is wrong."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPResponse
from typing import IO, Protocol

from tests.integrations.servers import PAGE

Forward = Callable[[bytes], bytes]


class Dialogue(Protocol):
    """One kind of conversation between a client and a system."""

    def connected(self, upstream: tuple[str, int], client: socket.socket) -> AbstractContextManager[Forward]:
        """What sends a request on and returns the whole answer."""
        ...

    def request(self, heard: IO[bytes]) -> bytes:
        """The next whole request; empty at the end."""
        ...

    def counts(self, request: bytes) -> bool:
        """Whether it is a step at which something may go wrong."""
        ...

    def answer(self, fault: str) -> bytes:
        """How the system itself would say what `proxy.Fault` is called."""
        ...


class Http:
    """HTTP/1.1; each request goes on by a connection of its own."""

    @contextmanager
    def connected(self, upstream: tuple[str, int], client: socket.socket) -> Iterator[Forward]:
        def forward(request: bytes) -> bytes:
            method = request.split(b" ", 1)[0].decode()
            with socket.create_connection(upstream, timeout=30) as server:
                server.sendall(request)
                response = HTTPResponse(server, method=method)
                response.begin()
                body = response.read()
            head = [f"HTTP/1.1 {response.status} {response.reason}"]
            left = ("transfer-encoding", "content-length", "connection")
            head += [f"{name}: {value}" for name, value in response.getheaders() if name.lower() not in left]
            if response.status not in (204, 304):
                head.append(f"Content-Length: {len(body)}")
            return "\r\n".join([*head, "", ""]).encode("latin-1") + body

        yield forward

    def request(self, heard: IO[bytes]) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = heard.readline()
            if not line:
                return b""
            head += line
        if re.search(rb"(?im)^transfer-encoding:\s*chunked", head):
            return head + _chunks(heard)
        length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
        return head + heard.read(int(length[1]) if length else 0)

    def counts(self, request: bytes) -> bool:
        return True

    def answer(self, fault: str) -> bytes:
        status, more, body = {
            "BUSY": ("429 Too Many Requests", "Retry-After: 120\r\n", b"{}"),
            "BUSY_WITHOUT_A_WORD": ("429 Too Many Requests", "", b"{}"),
            "ERROR": ("500 Internal Server Error", "", b'{"error": "try later"}'),
            "ERROR_AFTER_IT_WAS_DONE": ("500 Internal Server Error", "", b'{"error": "try later"}'),
            "MALFORMED": ("200 OK", "Content-Type: application/json\r\n", b'{"id": "12'),
            "PAGE": ("200 OK", "Content-Type: text/html\r\n", PAGE),
        }[fault]
        head = f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + body


class Smtp:
    """SMTP without encryption: a request is a line, or the whole mail after DATA was taken."""

    @contextmanager
    def connected(self, upstream: tuple[str, int], client: socket.socket) -> Iterator[Forward]:
        with socket.create_connection(upstream, timeout=30) as server, server.makefile("rb") as heard:
            client.sendall(_reply(heard))

            def forward(request: bytes) -> bytes:
                server.sendall(request)
                return _reply(heard)

            yield forward

    def request(self, heard: IO[bytes]) -> bytes:
        line = heard.readline()
        # Only a mail begins with a header; its end is a full stop on a line of its own.
        if re.match(rb"[A-Za-z-]+:", line) and not line.upper().startswith((b"MAIL", b"RCPT")):
            while not line.endswith(b"\r\n.\r\n"):
                more = heard.readline()
                if not more:
                    return b""
                line += more
        return line

    def counts(self, request: bytes) -> bool:
        return not request.upper().startswith((b"QUIT", b"RSET"))

    def answer(self, fault: str) -> bytes:
        return {
            "BUSY": b"451 4.7.1 try again later\r\n",
            "BUSY_WITHOUT_A_WORD": b"421 4.7.0 too many connections\r\n",
            "ERROR": b"451 4.3.0 local error\r\n",
            "ERROR_AFTER_IT_WAS_DONE": b"451 4.3.0 local error\r\n",
            "MALFORMED": b"25",
            "PAGE": PAGE + b"\r\n",
        }[fault]


def _chunks(heard: IO[bytes]) -> bytes:
    body = b""
    while True:
        size = heard.readline()
        body += size + heard.read(int(size.split(b";")[0], 16) + 2)
        if int(size.split(b";")[0], 16) == 0:
            return body


def _reply(heard: IO[bytes]) -> bytes:
    reply = b""
    while line := heard.readline():
        reply += line
        if line[3:4] != b"-":
            return reply
    raise EOFError
