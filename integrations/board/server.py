"""Running the board under granian: a page in a thread, the stream of a viewer as a coroutine.

A viewer keeps the stream open all day. Under WSGI that would be one thread per viewer; under RSGI it is a few objects,
and all viewers share a rendering. What is on a page belongs to `routes`, what is in the stream to `page`.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any
from wsgiref.types import WSGIApplication

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.rsgi import HTTPProtocol, Scope  # type: ignore[attr-defined]

from integrations.board.access import Access, NotAllowed, refuse_open, without_token
from integrations.board.broadcaster import Broadcaster
from integrations.board.config import BoardSettings
from integrations.board.home_token import home_token
from integrations.board.published import OpenCopy
from receiver import private
from receiver.rsgi import (
    ask,
    end_with_parent,
    environment,
    headers_of,
    peer_of,
    refuse_taken_address,
    server_environment,
)

STREAM, HEALTH = "/stream", "/healthz"
USER_KEY = "aftercall.user"
LARGEST_BODY = 64 << 10
_THREADS = 8
_GRACE_SECONDS = 2
_PLAIN = [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")]
_STREAM_HEADERS = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
    ("x-content-type-options", "nosniff"),
]


def serve(open_copy: OpenCopy, settings: BoardSettings | None = None) -> None:
    """Serve until SIGTERM or SIGINT; must run in the main thread.

    `open_copy` goes to the worker process, so it must be picklable. Raises SystemExit when the address cannot be bound,
    or others could reach a board that asks only for its token.
    """
    settings = settings or BoardSettings()
    refuse_open(settings)
    with suppress(OSError):  # what cannot be written is said where it is needed
        private.prepare(settings.home)
    refuse_taken_address(settings.host, settings.port, "AFTERCALL_BOARD_BIND")
    if settings.is_open:
        home_token(settings)  # a worker that could not have one would be started again for ever
    server = Granian(
        "board",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=30_000),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_GRACE_SECONDS,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=partial(_load, open_copy, settings), wrap_loader=False)


def _load(open_copy: OpenCopy, settings: BoardSettings) -> Any:
    """Runs in the worker process."""
    from integrations.board.app import Board
    from receiver import logs

    logs.configure()
    end_with_parent(_GRACE_SECONDS)
    board = Board(settings, open_copy())
    return Server(board.app, board.access, board.broadcaster, settings, board.start, board.stop)


class Server:
    """The RSGI application. Nobody reaches a page or the stream without `Access` saying who it is."""

    def __init__(
        self,
        app: WSGIApplication,
        access: Access,
        broadcaster: Broadcaster,
        settings: BoardSettings,
        start: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self._app, self._access, self._broadcaster = app, access, broadcaster
        self._is_open = settings.is_open
        self._start, self._stop = start, stop
        self._threads = ThreadPoolExecutor(_THREADS, "page")
        self._server = server_environment(settings.host, settings.port, is_multiprocess=False)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by granian in the worker, before it takes requests."""
        self._loop = loop
        self._broadcaster.attach(loop)
        loop.add_signal_handler(signal.SIGTERM, self._end)
        self._start()

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        if scope.path == HEALTH:
            protocol.response_str(200, _PLAIN, "ok\n")
            return
        headers = headers_of(scope)
        try:
            user = self._access.user(peer_of(scope), headers, scope.query_string)
        except NotAllowed as refused:
            protocol.response_str(refused.status, _PLAIN + refused.headers, f"{refused}\n")
            return
        cookie = self._access.cookie(user) if self._is_open else []
        if cookie and (place := without_token(scope.method, headers, scope.path, scope.query_string)):
            protocol.response_str(303, [*_PLAIN, *cookie, ("location", place)], "")
            return
        if scope.path == STREAM:
            await self._stream(protocol)
            return
        if int(headers.get("content-length") or 0) > LARGEST_BODY or "transfer-encoding" in headers:
            protocol.response_str(413, _PLAIN, "The request is too large.\n")
            return
        body = await protocol() if headers.get("content-length", "0") != "0" else b""
        environ = environment(self._server, scope, headers, body) | {USER_KEY: user}
        status, answered, content = await self._loop.run_in_executor(self._threads, ask, self._app, environ)
        protocol.response_bytes(status, [*answered, *cookie], content)

    async def _stream(self, protocol: HTTPProtocol) -> None:
        transport = protocol.response_stream(200, _STREAM_HEADERS)
        async for frame in self._broadcaster.frames():
            try:
                await transport.send_bytes(frame)
            except Exception:  # the viewer went away: granian has no exception of its own for it
                return

    def _end(self) -> None:
        """SIGTERM: end the streams, which would else outlast the grace, and then the threads."""
        self._broadcaster.end()
        threading.Thread(target=self._leave, daemon=True).start()

    def _leave(self) -> None:
        self._stop()
        os.kill(os.getpid(), signal.SIGINT)
