"""What the servers of this project need under granian: a free address, WSGI calls from RSGI, an end with the parent.

Shared by the receiver and the live board. Their requests belong to them.
"""

import io
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from granian.rsgi import Scope

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""


def refuse_taken_address(host: str, port: int, setting: str) -> None:
    """Raise SystemExit with the setting's name if the address cannot be bound."""
    # granian binds with SO_REUSEPORT: a second server would silently get half of the requests
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SystemExit(f"cannot listen on {host}:{port}: {error.strerror}; see {setting}") from error


def end_with_parent(grace_seconds: float) -> None:
    """End this worker soon after its parent: a worker whose parent was killed would hold the port for ever."""
    threading.Thread(target=_watch, args=(os.getppid(), grace_seconds), daemon=True).start()


def _watch(parent: int, grace_seconds: float) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os._exit(1)


def headers_of(scope: Scope) -> dict[str, str]:
    """A request's headers by lower-case name; values of a repeated name are joined by commas."""
    headers: dict[str, str] = {}
    for name, value in scope.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def peer_of(scope: Scope) -> str:
    """The address at the other end of the connection, without brackets and port."""
    return scope.client.rpartition(":")[0].strip("[]")


def server_environment(host: str, port: int, *, is_multiprocess: bool) -> WSGIEnvironment:
    """The part of WSGI's environment that is the same for every request."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": is_multiprocess,
        "wsgi.run_once": False,
    }


def environment(
    server: WSGIEnvironment, scope: Scope, headers: Mapping[str, str], body: bytes
) -> WSGIEnvironment:
    """The WSGI environment of a request whose body was read; `server` is `server_environment`."""
    environ = server | {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path if scope.path.isascii() else scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": peer_of(scope),
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in headers.items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ["CONTENT_TYPE"] = headers.get("content-type", "")
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def ask(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """The answer of a WSGI application."""
    begun: list[Any] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _: Any = None
    ) -> Callable[[bytes], object]:
        begun[:] = [int(status[:3]), headers]
        return lambda data: None

    parts: Iterable[bytes] = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return begun[0], begun[1], body
