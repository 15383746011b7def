"""Which runs are alive: each holds a lock on its file while its process lives, and the kernel releases it.

A process id proves less: after a restart another process may have it, and its age depends on a clock that may be set.
`launcher.py` (for the daemon) and `pools.py` (for a command) decide when a dead run fails.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

FOLDER = "running"
_held: dict[Path, int] = {}


def hold(dagster_home: Path, run_id: str) -> None:
    """Lock the file of a run until `release`, or until this process ends, however it ends. Raises OSError.

    Nothing happens where this process already holds it.
    """
    path = _file(dagster_home, run_id)
    if path in _held:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    _held[path] = descriptor


def release(dagster_home: Path, run_id: str) -> None:
    """Remove the file of a run that this process holds; a run of another process is left alone."""
    path = _file(dagster_home, run_id)
    if (descriptor := _held.pop(path, None)) is not None:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def is_alive(dagster_home: Path, run_id: str) -> bool | None:
    """True while a process holds the run, False once that process is gone, None if no process ever held the run."""
    path = _file(dagster_home, run_id)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sweep(dagster_home: Path, finished: set[str]) -> None:
    """Remove the files of finished runs whose processes were killed."""
    for run_id in finished:
        if is_alive(dagster_home, run_id) is False:
            with suppress(OSError):
                _file(dagster_home, run_id).unlink()


def _file(dagster_home: Path, run_id: str) -> Path:
    return dagster_home / FOLDER / run_id
