"""The warehouse as one DuckDB file, with a copy of its marts for readers: the default, for one machine.

A DuckDB file has one writing process, and a reader in another process shuts the writer out, even read-only. So a lock
beside the file says whose turn it is, readers get a copy, and connections are short.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import duckdb_connection, incremental_copy
from orchestration.warehouse.copy_files import PublishedFile
from orchestration.warehouse.file_lock import exclusive
from orchestration.warehouse.interface import BuiltProject, Connection, PublishReport, UnknownWarehouse
from orchestration.warehouse.memory import with_enough_memory

SCHEME = "duckdb"
FORM = f"{SCHEME}:///path/to/file.duckdb"
_DEFAULT_NAME = "warehouse.duckdb"
_PUBLISHED = Path("published", "marts.duckdb")


class DuckdbFile:
    """See `interface.Warehouse`. The lock and the count of changes lie beside the file, the copy in the home."""

    dbt_target = SCHEME

    def __init__(self, path: Path, settings: OrchestrationSettings) -> None:
        self.path = path
        self.published = PublishedFile(settings.home / _PUBLISHED)
        self._settings = settings
        self._number_file = path.with_suffix(".number")
        self._lock_file = path.with_suffix(".lock")

    @property
    def location(self) -> str:
        """See `Warehouse.location`."""
        return str(self.path)

    def exists(self) -> bool:
        """See `Warehouse.exists`."""
        return self.path.exists()

    def version(self) -> str | None:
        """See `Warehouse.version`.

        It has the number of changes, and for a `dbt build` by hand, which counts nothing, what the file system says.
        """
        files = [_status_of(path) for path in (self.path, self.path.with_name(f"{self.path.name}.wal"))]
        return f"{self.change_number()} {' '.join(files)}" if files[0] != "-" else None

    def change_number(self) -> int:
        """See `Warehouse.change_number`."""
        try:
            return int(self._number_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See `Warehouse.reading`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(self._lock_file, self._settings.lock_timeout_seconds):
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See `Warehouse.writing`."""
        with self.reading():
            self._write_number(self.change_number() + 1)
            yield

    @contextmanager
    def connect(self, read_only: bool = True) -> Iterator[Connection]:
        """See `Warehouse.connect`."""
        options = duckdb_connection.moving_rows(self._settings.warehouse_memory_limit)
        with duckdb_connection.connect(self.location, options, read_only) as connection:
            yield connection

    def attach_statement(self, name: str) -> str:
        """See `Warehouse.attach_statement`."""
        return f"attach {duckdb_connection.quoted(self.location)} as {name} (read_only)"

    def destination(self) -> Any:
        """See `Warehouse.destination`.

        Every byte is written twice (staging, then `raw`), and most of the time went into compressing payloads.
        Measured on 300,000 events: without compression of text the two steps take half as long, on one thread
        less again (and less memory), for a file of 1.9 times the size.
        """
        import dlt

        options = duckdb_connection.moving_rows(self._settings.warehouse_memory_limit) | {
            "disabled_compression_methods": "dictionary,fsst,dict_fsst,zstd",
            "threads": 1,
        }
        return dlt.destinations.duckdb(credentials={"database": self.location, "global_config": options})

    def dbt_environment(self) -> dict[str, str]:
        """See `Warehouse.dbt_environment`."""
        return {"AFTERCALL_WAREHOUSE_URL": f"{SCHEME}://{self.path}"}

    def publish(self, project: BuiltProject) -> PublishReport:
        """See `Warehouse.publish`.

        Of marts that hold calls only those that changed since the last copy are written, into a copy of that file.
        """
        started = time.monotonic()
        with self.reading():
            version = self.version() or ""
            copy = with_enough_memory(
                self._settings,
                lambda roomy: incremental_copy.make(
                    self.attach_statement("warehouse"),
                    self.published,
                    project,
                    duckdb_connection.moving_rows(roomy.warehouse_memory_limit),
                ),
            )
            self.published.put_in_place(copy.file, copy.marks, version, project.landing)
        stored_bytes = self.published.path.stat().st_size
        return PublishReport(copy.rows, copy.newest, stored_bytes, time.monotonic() - started, copy.renewed)

    def _write_number(self, value: int) -> None:
        """Before the change, and on the disk: a power cut in between shows a change too many, never one too few."""
        beside = self._number_file.with_name(f"{self._number_file.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(str(value))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._number_file)


def from_url(url: str, settings: OrchestrationSettings) -> DuckdbFile:
    """The file that a URL names. Raises UnknownWarehouse where it names none."""
    path = url.removeprefix(f"{SCHEME}://")
    if path == url or not path.startswith("/"):
        raise UnknownWarehouse(
            f"AFTERCALL_WAREHOUSE_URL names no file by its absolute path; write {FORM}, with three slashes"
        )
    return DuckdbFile(Path(path), settings)


def of_home(settings: OrchestrationSettings) -> DuckdbFile:
    """The file of a home whose settings name no warehouse."""
    return DuckdbFile(settings.home / _DEFAULT_NAME, settings)


def _status_of(path: Path) -> str:
    """What tells a file from what it was before."""
    try:
        status = path.stat()
    except OSError:
        return "-"
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
