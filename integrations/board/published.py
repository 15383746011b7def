"""Asking the published marts: opened for a batch of questions, so that the next publish is seen by the next batch.

The questions themselves are in `numbers` and `calls`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

MartsUnreadable = duckdb.Error


class Marts:
    """The published copy. For several threads; one of them asks at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def version(self) -> tuple[int, int] | None:
        """Changes with every publish; None before the first."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def published_at(self) -> datetime | None:
        """When the copy was put in place, UTC."""
        try:
            return datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except OSError:
            return None

    @contextmanager
    def opened(self) -> Iterator[DuckDBPyConnection | None]:
        """A connection to the copy of this moment, read-only; None before the first publish."""
        with self._lock:
            # an instance that is open is shared by path, and would be the file that was replaced
            if not self._path.exists():
                yield None
                return
            limits: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "256MB", "threads": 2}
            with duckdb.connect(str(self._path), read_only=True, config=limits) as connection:
                yield connection


def rows(connection: DuckDBPyConnection, query: str, values: object = None) -> list[dict[str, Any]]:
    """Rows by column name."""
    result = connection.execute(query, values)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
