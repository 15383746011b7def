"""Systems behind a channel that misbehave to order: a real HTTP server on loopback, with a script of answers."""

import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

PAGE = b"<html><head><style>p{}</style><title>Oops</title></head><body><p>Down &amp; out</p></body></html>"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: Any

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    system: "System"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body, self.client_address)
        self.system.requests.append(request)
        self.system.answer(request)(self)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST

    def log_message(self, *_: object) -> None:
        pass


Answer = Callable[[Handler], None]


@dataclass
class System:
    """What was asked of it, and what it will answer: the script first, then `always`."""

    url: str
    requests: list[Request] = field(default_factory=list)
    script: deque[Answer] = field(default_factory=deque)
    always: Callable[[Request], Answer] = lambda request: says(200, {"ok": True})

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def answer(self, request: Request) -> Answer:
        return self.script.popleft() if self.script else self.always(request)


def says(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Answer:
    """A whole answer; anything but bytes goes as JSON."""

    def answer(handler: Handler) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
        handler.send_response(status)
        for name, value in {**kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def html(status: int) -> Answer:
    return says(status, PAGE, {"Content-Type": "text/html"})


def cut_off(handler: Handler) -> None:
    """Promises 100 bytes and ends after 10."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"id": "12')
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """Takes the request and resets the connection: the answer is lost."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The files of the handler hold the descriptor too; only the last close sends the RST.
    handler.rfile.close()
    handler.wfile.close()
    handler.connection.close()
    handler.close_connection = True


def hang(handler: Handler) -> None:
    """Says nothing until the other side leaves."""
    handler.connection.settimeout(30)
    handler.connection.recv(1)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """A byte of a header now and then, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    try:
        for _ in range(300):
            handler.wfile.write(b"x")
            time.sleep(0.05)
    except OSError:
        pass
    handler.close_connection = True


def endless(handler: Handler) -> None:
    """A body that is larger than anybody asked for."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    try:
        for _ in range(64):
            handler.wfile.write(b"x" * (1 << 18))
    except OSError:
        pass
    handler.close_connection = True


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are what these tests are about."""


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[System]:
    """A system on a free port of loopback."""
    handler = type("OwnHandler", (Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    scheme = "https" if tls else "http"
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    handler.system = system = System(f"{scheme}://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield system
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certified(*names: str) -> tuple[ssl.SSLContext, trustme.CA]:
    """A server's TLS with a certificate for these names, and the authority that signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context, authority
