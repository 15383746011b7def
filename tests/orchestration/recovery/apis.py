"""A list API on a real socket: any of the five platforms, by what its documents and packages say of it.

Gives out pages, wants its key, and fails as it is told. What the calls are is `made.py`.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.orchestration.recovery import dialects

Fault = Callable[["_Handler"], bool]
"""Told of a request before it is answered; whether it answered itself."""


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]


@dataclass
class ListApi:
    """Use as a context manager. `calls` are as the API shows them in full; `page` is its largest page."""

    name: str
    key: str
    calls: list[dict[str, Any]] = field(default_factory=list)
    page: int = 3
    faults: list[Fault | None] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    on_request: Callable[[Asked], None] = lambda _: None

    def __enter__(self) -> "ListApi":
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client may be killed
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def details(self) -> list[Asked]:
        return [asked for asked in self.asked if self.dialect.detail_of(asked.path) is not None]

    def lists(self) -> list[Asked]:
        return [asked for asked in self.asked if self.dialect.detail_of(asked.path) is None]

    @property
    def dialect(self) -> dialects.Dialect:
        return dialects.DIALECTS[self.name]


class _Handler(BaseHTTPRequestHandler):
    api: ListApi
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, body: dict[str, Any]) -> None:
        api, parts = self.api, urlsplit(self.path)
        asked = Asked(self.command, unquote(parts.path), dict(parse_qsl(parts.query)), body)
        api.asked.append(asked)
        api.on_request(asked)
        fault = api.faults.pop(0) if api.faults else None
        if fault is not None and fault(self):
            return
        if self.headers.get(api.dialect.header) != api.dialect.credential.format(api.key):
            self.answer(401, b'{"error": "bad key"}')
            return
        call_id = api.dialect.detail_of(asked.path)
        if call_id is None:
            found: Any = api.dialect.page_of(api.calls, asked.query, asked.body, api.page)
        else:
            found = api.dialect.detail(api.calls, call_id)
        self.answer(404 if found is None else 200, json.dumps(found).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


def too_busy(handler: _Handler) -> bool:
    handler.answer(429, b"{}", Retry_After="1")
    return True


def broken(handler: _Handler) -> bool:
    handler.answer(500, b"oops")
    return True


def cut_off(handler: _Handler) -> bool:
    """Half an answer, then the line is dead."""
    handler.answer(200, b'{"half": ', length="1000")
    handler.close_connection = True
    return True


def nonsense(handler: _Handler) -> bool:
    handler.answer(200, b'{"message": "we are moving"}')
    return True


def page_of_html(handler: _Handler) -> bool:
    handler.answer(200, b"<html>maintenance</html>")
    return True
