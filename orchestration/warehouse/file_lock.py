"""A lock that is a file: held by one process of this machine, and freed when that process ends, however it ends."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.warehouse.interface import WarehouseBusy

_LOOKS_EVERY_SECONDS = 0.05


@contextmanager
def exclusive(path: Path, timeout_seconds: float) -> Iterator[None]:
    """An advisory lock on a file. Raises WarehouseBusy when it cannot be had in time."""
    deadline = time.monotonic() + timeout_seconds
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise WarehouseBusy(
                        f"another process has held {path} for {timeout_seconds:.0f} s; "
                        "wait for it, or look for a hanging run in the Dagster UI"
                    ) from None
                time.sleep(_LOOKS_EVERY_SECONDS)
        yield
