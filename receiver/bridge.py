"""Runs the Flask application under granian's RSGI and answers once the event is durable.

Holds what a public server needs around a WSGI application: a bounded queue, a drain on SIGTERM, a log line and a count
per request. Reading a body belongs to `receiver.body_reader`, the meaning of a request to the application, and the
process to `receiver.serve`.
"""

import asyncio
import logging
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from wsgiref.types import WSGIApplication, WSGIEnvironment

from granian.rsgi import HTTPProtocol, Scope  # type: ignore[attr-defined]

from receiver.body_reader import BodyReader
from receiver.config import ReceiverSettings
from receiver.http_errors import UNEXPECTED, HttpError, busy, document, landing_unavailable
from receiver.landing import LandingStore, LandingUnavailable
from receiver.landing.commit import GroupCommit
from receiver.logs import FLUSH_SECONDS, Log, digest
from receiver.metrics import Metrics
from receiver.repeats import Repeats
from receiver.request_context import ENVIRON_KEY, RequestContext, request_id
from receiver.rsgi import Answer, ask, environment, headers_of, server_environment

LOG = logging.getLogger("aftercall.receiver")
WEBHOOKS = "/webhooks/"
INLINE_BYTES = 256 << 10
"""A larger body is handled in a thread: parsing it on the event loop would delay all other requests."""
_THREADS = 4
_SWEEP_SECONDS = 0.5
_FAREWELL_SECONDS = 1.0
_ANSWERED_WHILE_STOPPING = ("/healthz", "/metrics")
_LOOK_AT_FILES = ("/readyz", "/metrics")
_STOPPING = "the receiver is stopping; send it again later"


class Bridge:
    """The RSGI application of one worker process."""

    def __init__(
        self,
        app: WSGIApplication,
        landing: LandingStore,
        settings: ReceiverSettings,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._app = app
        self._landing = landing
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self._in_hand = 0
        self._queued = 0
        self._stopping = False
        self._reader = BodyReader(
            settings.receiver_max_body_bytes, settings.receiver_queue_bytes, settings.receiver_body_seconds
        )
        self._parsing = ThreadPoolExecutor(_THREADS, "parsing")
        self._looking = ThreadPoolExecutor(_THREADS, "looking")
        self._repeats = Repeats(settings.receiver_repeats)
        self._server = server_environment(
            settings.host, settings.port, is_multiprocess=settings.receiver_workers > 1
        )

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by granian in the worker, before it takes requests."""
        self._loop = loop
        self._commit = GroupCommit(loop, self._landing.append, self._committed)
        # granian's own handler would stop accepting at once; `_leave` sends it SIGINT after the drain
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.call_later(FLUSH_SECONDS, self._flush)
        loop.call_later(_SWEEP_SECONDS, self._sweep)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by granian when the worker has answered its last request."""
        self._landing.close()
        self._metrics.flush(self._queued)
        self._log.flush()

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        began = time.perf_counter()
        headers = headers_of(scope)
        context = RequestContext(request_id(headers.get("x-request-id")), headers)
        path = scope.path
        self._in_hand += 1
        try:
            if self._stopping and path not in _ANSWERED_WHILE_STOPPING:
                raise HttpError(503, _STOPPING, "stopping")
            if path.startswith(WEBHOOKS):
                answer = await self._webhook(scope, protocol, context)
            elif path in _LOOK_AT_FILES:
                self._metrics.flush(self._queued)
                environ = self._environment(scope, context)
                answer = await self._loop.run_in_executor(self._looking, ask, self._app, environ)
            else:
                answer = ask(self._app, self._environment(scope, context))
        except HttpError as error:
            context.reason = error.reason
            answer = (error.status, *document(error.status, error.detail))
        except Exception as error:
            LOG.error("unexpected error in the bridge", exc_info=error)
            context.reason = "error"
            answer = (500, *document(500, UNEXPECTED))
        finally:
            self._in_hand -= 1
        status, answer_headers, body = answer
        answer_headers.append(("x-request-id", context.request_id))
        if self._stopping:
            answer_headers.append(("connection", "close"))
        protocol.response_bytes(status, answer_headers, body)
        if path.startswith(WEBHOOKS):
            self._account(context, status, time.perf_counter() - began)

    async def _webhook(self, scope: Scope, protocol: HTTPProtocol, context: RequestContext) -> Answer:
        self._refuse_if_full()
        self._reader.refuse_too_large(context.headers)
        context.body = await self._reader.read(protocol, context.headers)
        self._refuse_if_full()
        self._queued += 1
        try:
            environ = self._environment(scope, context)
            if len(context.body) <= INLINE_BYTES:
                answer = ask(self._app, environ)
            else:
                answer = await self._loop.run_in_executor(self._parsing, ask, self._app, environ)
            if context.line is not None:
                await self._land(context, context.line)
            return answer
        finally:
            self._queued -= 1

    def _refuse_if_full(self) -> None:
        if self._queued >= self._settings.receiver_queue:
            raise busy()

    async def _land(self, context: RequestContext, line: bytes) -> None:
        """Return when the event is on disk, through this line or an earlier one."""
        if not self._repeats.begin(context.event_key):
            context.is_repeat = True
            return
        is_durable = False
        try:
            await self._commit.append(line)
            is_durable = True
        except LandingUnavailable as error:
            raise landing_unavailable() from error
        finally:
            self._repeats.end(context.event_key, is_durable=is_durable)

    def _committed(self, lines: int, seconds: float, failure: str | None) -> None:
        self._metrics.committed(lines, seconds)
        if failure is not None:
            LOG.error("landing store unavailable, %d events refused: %s", lines, failure)

    def _environment(self, scope: Scope, context: RequestContext) -> WSGIEnvironment:
        environ = environment(self._server, scope, context.headers, context.body)
        environ[ENVIRON_KEY] = context
        return environ

    def _account(self, context: RequestContext, status: int, seconds: float) -> None:
        self._metrics.answered(context, status)
        self._log.write(
            "info" if status < 500 else "error",
            "webhook",
            {
                "request_id": context.request_id,
                "source": context.source,
                "status": status,
                "reason": context.reason,
                "event": digest(context.event_id),
                "event_type": self._metrics.known_type(context.event_type),
                "bytes": len(context.body),
                "ms": round(seconds * 1000, 2),
            },
        )

    def _flush(self) -> None:
        self._metrics.flush(self._queued)
        self._log.flush()
        self._loop.call_later(FLUSH_SECONDS, self._flush)

    def _sweep(self) -> None:
        """Give up on bodies that do not arrive and on a disk that does not answer."""
        self._reader.sweep()
        self._commit.give_up(self._settings.receiver_commit_seconds)
        self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _stop(self) -> None:
        """Handle SIGTERM: refuse new requests, and exit once all earlier ones are answered."""
        if not self._stopping:
            self._stopping = True
            LOG.info("stopping: %d requests in hand", self._in_hand)
            self._loop.call_later(self._settings.receiver_grace_seconds, os._exit, 1)
            self._leave()

    def _leave(self) -> None:
        if self._in_hand:
            self._loop.call_later(0.01, self._leave)
            return
        self._metrics.flush(0)
        self._log.flush()
        os.kill(os.getpid(), signal.SIGINT)
        # granian would wait for connections that never sent a request
        self._loop.call_later(_FAREWELL_SECONDS, os._exit, 0)
