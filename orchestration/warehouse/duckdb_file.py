"""The warehouse: where it is, who may write it now, and the dlt destination that stands for it.

The one place on this floor that knows that the warehouse is a DuckDB file. What is in it belongs to
`orchestration/load/` (raw) and `dbt_project/` (everything else).
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from orchestration.config import OrchestrationSettings

LOG = logging.getLogger("aftercall.warehouse")
T = TypeVar("T")
RAW = "raw"
_NUMBER_FILE = "warehouse.number"
_LARGER_LIMITS = ("2GB", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') * 7 // 10 >> 20}MiB")
LARGEST_LIMIT = _LARGER_LIMITS[-1]
"""The memory limit that `with_enough_memory` tries last."""
_OUT_OF_MEMORY = re.compile(r"Out of Memory|failed to (pin|allocate)")


class WarehouseBusy(Exception):
    """Another process held the warehouse for longer than the configured wait."""


def duckdb_config(settings: OrchestrationSettings) -> dict[str, Any]:
    """Options of every DuckDB connection that moves many rows.

    Rows carry their own order (`received_at`), so DuckDB need not keep that of insertion: measured on
    300,000 events, this takes a third off the load and keeps it within its memory limit.
    """
    return {"memory_limit": settings.warehouse_memory_limit, "preserve_insertion_order": False}


def with_enough_memory(
    settings: OrchestrationSettings,
    work: Callable[[OrchestrationSettings], T],
    limit: str = "warehouse_memory_limit",
) -> T:
    """Do `work` within the setting named `limit`, and with more memory when DuckDB needs it.

    DuckDB works on 2,048 rows at a time, whatever their size: bodies of some kilobytes fit the limit however many
    there are, a few hundred of several megabytes do not. `work` must be repeatable.
    """
    *limits, last = dict.fromkeys((getattr(settings, limit), *_LARGER_LIMITS))
    for memory in limits:
        try:
            return work(settings.model_copy(update={limit: memory}))
        except Exception as error:  # dlt and dbt wrap what DuckDB raised
            if not _ran_out_of_memory(error):
                raise
            LOG.warning("DuckDB needs more than %s of memory; trying with more", memory)
    return work(settings.model_copy(update={limit: last}))


def ran_out_of_memory(failure: str) -> bool:
    """Whether the words of a failure say that DuckDB needed more memory than its limit."""
    return _OUT_OF_MEMORY.search(failure) is not None


def _ran_out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if ran_out_of_memory(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _loading_config(settings: OrchestrationSettings) -> dict[str, Any]:
    """Options of the connections that dlt copies and merges with.

    Every byte is written twice (staging, then `raw`), and most of the time went into compressing payloads.
    Measured on 300,000 events: without compression of text the two steps take half as long, on one thread
    less again (and less memory), for a file of 1.9 times the size.
    """
    return duckdb_config(settings) | {
        "disabled_compression_methods": "dictionary,fsst,dict_fsst,zstd",
        "threads": 1,
    }


def destination(settings: OrchestrationSettings) -> Any:
    """The dlt destination of the raw tables."""
    import dlt

    return dlt.destinations.duckdb(
        credentials={
            "database": str(settings.warehouse),
            "global_config": _loading_config(settings),
        }
    )


@contextmanager
def reading(settings: OrchestrationSettings) -> Iterator[None]:
    """Hold the warehouse against every other process of this home; freed even by `kill -9`.

    Raises WarehouseBusy after `lock_timeout_seconds`.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with exclusive(settings.home / "warehouse.lock", settings.lock_timeout_seconds):
        yield


@contextmanager
def writing(settings: OrchestrationSettings) -> Iterator[None]:
    """Hold the warehouse to change it, which makes its content another version; otherwise as `reading`."""
    with reading(settings):
        _write_number(settings, number(settings) + 1)
        yield


def number(settings: OrchestrationSettings) -> int:
    """How often the warehouse was held to be changed: a number that only grows, whatever the clock does."""
    try:
        return int((settings.home / _NUMBER_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0


def _write_number(settings: OrchestrationSettings, value: int) -> None:
    """Before the change, and on the disk: a power cut in between shows a change too many, never one too few."""
    path = settings.home / _NUMBER_FILE
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(str(value))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def version(settings: OrchestrationSettings) -> str | None:
    """A name for the content of the warehouse, another one after each change; None without a warehouse.

    It has the number, and for a `dbt build` by hand, which counts nothing, what the file system says of the files.
    Versions are compared for equality, never by age. Opens nothing, so that a sensor may ask.
    """
    files = [
        _seen(path) for path in (settings.warehouse, settings.warehouse.with_name("warehouse.duckdb.wal"))
    ]
    return f"{number(settings)} {' '.join(files)}" if files[0] != "-" else None


def _seen(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "-"
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


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
                time.sleep(0.05)
        yield


@contextmanager
def connect(settings: OrchestrationSettings, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """A short-lived connection. Call inside `writing`, since a DuckDB file has one process at a time."""
    connection = duckdb.connect(str(settings.warehouse), read_only=read_only, config=duckdb_config(settings))
    try:
        yield connection
    finally:
        connection.close()
