"""A proxy on real sockets that stands in front of a system and does one wrong thing, at one request.

It speaks HTTP/1.1 or SMTP as far as it takes to see where a request ends; what goes through is untouched. What a
destination is expected to make of a fault belongs to `suite`.
"""

import os
import signal
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import IO

from tests.integrations.faults.wire_protocols import Dialogue, Http

PATIENCE = 30


class Fault(Enum):
    """What goes wrong at a request; `after_it_was_done`: the system behind has already done what it was asked."""

    HANG = "hang"
    HANG_AFTER_IT_WAS_DONE = "hang, after it was done"
    RESET = "reset"
    LOST_ANSWER = "reset, after it was done"
    BUSY = "429 with Retry-After"
    BUSY_WITHOUT_A_WORD = "429 without Retry-After"
    ERROR = "500"
    ERROR_AFTER_IT_WAS_DONE = "500, after it was done"
    MALFORMED = "half an answer, after it was done"
    PAGE = "an HTML page, after it was done"
    KILL = "kill"
    KILL_AFTER_IT_WAS_DONE = "kill, after it was done"

    @property
    def is_done(self) -> bool:
        """Whether the system behind gets the request."""
        return self.value.endswith("it was done")


HANGS = (Fault.HANG, Fault.HANG_AFTER_IT_WAS_DONE)
KILLS = (Fault.KILL, Fault.KILL_AFTER_IT_WAS_DONE)


@dataclass
class Proxy:
    """`steps` counts the requests since it was armed; `victim` is the process that a kill is for."""

    address: tuple[str, int]
    upstream: tuple[str, int]
    dialogue: Dialogue
    fault: Fault | None = None
    at: int = 0
    steps: int = 0
    has_struck: bool = False
    victim: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        return self.address[1]

    def arm(self, fault: Fault | None, at: int = 0) -> None:
        """Do this at the request of this number (from 0), once; None: let everything through."""
        with self.lock:
            self.fault, self.at, self.steps, self.has_struck = fault, at, 0, False

    def strike(self) -> Fault | None:
        """The fault of the request that has just come, if it is the one."""
        with self.lock:
            own_fault = self.fault if self.steps == self.at and not self.has_struck else None
            self.has_struck = self.has_struck or own_fault is not None
            self.steps += 1
            return own_fault


class _Connection(socketserver.BaseRequestHandler):
    proxy: Proxy
    tls: ssl.SSLContext | None

    def handle(self) -> None:
        with suppress(OSError, EOFError):
            client: socket.socket = self.request
            client.settimeout(PATIENCE)
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            with client, client.makefile("rb") as heard:
                self._talk(client, heard)

    def _talk(self, client: socket.socket, heard: IO[bytes]) -> None:
        dialogue = self.proxy.dialogue
        with dialogue.connected(self.proxy.upstream, client) as forward:
            while request := dialogue.request(heard):
                if not dialogue.counts(request):
                    client.sendall(forward(request))
                    continue
                fault = self.proxy.strike()
                if fault is None:
                    client.sendall(forward(request))
                    continue
                if fault.is_done:
                    forward(request)
                self._misbehave(fault, client, heard)
                return

    def _misbehave(self, fault: Fault, client: socket.socket, heard: IO[bytes]) -> None:
        if fault in KILLS:
            os.kill(self.proxy.victim, signal.SIGKILL)
        elif fault in HANGS:
            heard.read(1)
        elif fault in (Fault.RESET, Fault.LOST_ANSWER):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            client.sendall(self.proxy.dialogue.answer(fault.name))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64


@contextmanager
def standing_before(
    upstream: tuple[str, int],
    dialogue: Dialogue | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Proxy]:
    """A proxy on a free port of loopback, for HTTP unless told otherwise; with `tls` it shows that certificate."""
    proxy = Proxy(("127.0.0.1", 0), upstream, dialogue or Http())
    handler = type("OwnConnection", (_Connection,), {"proxy": proxy, "tls": tls})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.address = ("127.0.0.1", server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
