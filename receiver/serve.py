"""Runs the receiver under granian until SIGTERM or SIGINT.

Worker processes serve requests; this process supervises them. Handling one request belongs to `receiver.bridge`.
"""

import gc
import math
import os
import resource
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from receiver import logs, private
from receiver.config import ReceiverSettings
from receiver.rsgi import end_with_parent, refuse_taken_address

HEADER_SECONDS = 30
"""Time limit for a request's head, and for an idle connection."""
HEADER_BYTES = 64 << 10
CONNECTIONS = 8192
"""Limit per process; further ones wait in the kernel. Far above the queue, so that the rest can be answered 503."""

Load = Callable[[ReceiverSettings], Any]


def serve(settings: ReceiverSettings | None = None, load: Load | None = None) -> None:
    """Serve until stopped; call from the main thread. Exits with 1 if the address cannot be bound.

    `load` creates the RSGI application in each worker process, by default the receiver's.
    """
    settings = settings or ReceiverSettings()
    with suppress(OSError):  # a disk that cannot be written is reported to each sender, with 503
        private.prepare(settings.home)
    refuse_taken_address(settings.host, settings.port, "AFTERCALL_RECEIVER_BIND")
    # prometheus_client reads this at import, so import whatever imports it afterwards
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_empty(settings.metrics))
    if load is None:
        import receiver.worker
        from receiver.landing import UnknownLanding, open_landing

        try:
            open_landing(settings.landing)
        except UnknownLanding as error:
            raise SystemExit(str(error)) from None
        load = receiver.worker.load
    files = _raise_file_limit()
    server = Granian(
        "receiver",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=HEADER_BYTES),
        workers=settings.receiver_workers,
        backpressure=max(1, min(CONNECTIONS, files - 256)),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.receiver_grace_seconds,
        workers_lifetime=math.ceil(settings.receiver_worker_hours * 3600) or None,
        log_level=LogLevels.error,
        log_dictconfig=logs.of_granian(),
    )
    try:
        server.serve(target_loader=partial(_load, settings, load), wrap_loader=False)
    finally:
        shutil.rmtree(settings.metrics, ignore_errors=True)


def _load(settings: ReceiverSettings, load: Load) -> Any:
    """The RSGI application; runs in the worker process."""
    end_with_parent(settings.receiver_grace_seconds)
    application = load(settings)
    # permanent objects need no garbage collection in the middle of a request
    gc.collect()
    gc.freeze()
    return application


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise SystemExit(
            f"cannot empty and create {folder}: {error.strerror}; remove it, or free space on its disk"
        ) from error
    return folder


def _raise_file_limit() -> int:
    """Raise the limit of open files as far as useful and allowed; the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    useful = max(soft, 2 * CONNECTIONS)
    wanted = useful if hard == resource.RLIM_INFINITY else min(hard, useful)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        return soft
    return wanted
