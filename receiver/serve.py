"""Running the app under granian, until SIGTERM or SIGINT.

Granian's in-process server speaks no WSGI, so a worker process serves and this one watches over it.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from functools import partial

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from receiver.app import create_app
from receiver.config import ReceiverSettings

STOP_SECONDS = 3
"""How long requests in flight may take after a stop was asked for."""


def serve(settings: ReceiverSettings | None = None) -> None:
    """Serve until stopped; must run in the main thread. Exits with 1 when the address cannot be bound."""
    settings = settings or ReceiverSettings()
    _refuse_taken_address(settings.host, settings.port)
    server = Granian(
        "receiver",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.receiver_workers,
        blocking_threads=settings.receiver_threads,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def _load(settings: ReceiverSettings) -> Flask:
    """Runs in the worker process."""
    _log_to_stderr()
    threading.Thread(target=_stop_with_parent, args=(os.getppid(),), daemon=True).start()
    return create_app(settings)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("aftercall")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _stop_with_parent(parent: int) -> None:
    """A worker whose parent was killed would hold the port for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os._exit(1)


def _refuse_taken_address(host: str, port: int) -> None:
    # granian binds with SO_REUSEPORT: a second receiver would silently take half of the first one's requests
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            address = f"{host}:{port}"
            raise SystemExit(
                f"cannot listen on {address}: {error.strerror}; see AFTERCALL_RECEIVER_BIND"
            ) from error
