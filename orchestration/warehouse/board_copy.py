"""The published copy as the board reads it: opened for each batch of questions, so that the next sees a new publish.

What the board asks belongs to `integrations.board`.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from integrations.board.published import CopyUnreadable

_BATCH = 2048


class BoardCopy:
    """Implements `integrations.board.published.PublishedCopy`; one thread asks at a time."""

    def __init__(self, path: Path, load_state: Path) -> None:
        """`load_state`: the file that dlt writes with every load."""
        self._path = path
        self._load_state = load_state
        self._lock = threading.Lock()

    def version(self) -> tuple[int, int] | None:
        """See `PublishedCopy.version`."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def published_at(self) -> datetime | None:
        """See `PublishedCopy.published_at`."""
        return _modified_at(self._path)

    def loaded_at(self) -> datetime | None:
        """See `PublishedCopy.loaded_at`."""
        return _modified_at(self._load_state)

    @contextmanager
    def opened(self) -> Iterator["_Snapshot | None"]:
        """See `PublishedCopy.opened`."""
        with self._lock:
            # an instance that is open is shared by path, and would be the file that was replaced
            if not self._path.exists():
                yield None
                return
            limits: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "256MB", "threads": 2}
            try:
                with duckdb.connect(str(self._path), read_only=True, config=limits) as connection:
                    yield _Snapshot(connection)
            except duckdb.Error as error:
                raise CopyUnreadable(f"{self._path}: {error}") from error


class _Snapshot:
    """Implements `integrations.board.published.Snapshot`; `opened` turns DuckDB's errors into CopyUnreadable."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(
        self, query: str, values: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> list[dict[str, Any]]:
        result = self._connection.execute(query, values)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def batches(self, query: str, values: Mapping[str, Any]) -> Iterator[list[tuple[Any, ...]]]:
        result = self._connection.execute(query, values)
        while batch := result.fetchmany(_BATCH):
            yield batch


def _modified_at(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
