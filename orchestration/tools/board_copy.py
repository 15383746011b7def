"""The published copy as the board asks it: opened for each batch of questions, so that the next sees a new publish.

What the board asks belongs to `integrations.board`, how the copy is opened to `orchestration/warehouse/`.
"""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from integrations.board.published import CopyUnreadable
from orchestration.warehouse import Connection, Published, WarehouseError


class BoardCopy:
    """Implements `integrations.board.published.PublishedCopy`; one thread asks at a time."""

    def __init__(self, published: Published, load_state: Path) -> None:
        """`load_state`: the file that dlt writes with every load."""
        self._published = published
        self._load_state = load_state
        self._lock = threading.Lock()

    def version(self) -> Hashable | None:
        """See `PublishedCopy.version`."""
        return self._published.version()

    def published_at(self) -> datetime | None:
        """See `PublishedCopy.published_at`."""
        return self._published.published_at()

    def loaded_at(self) -> datetime | None:
        """See `PublishedCopy.loaded_at`."""
        try:
            return datetime.fromtimestamp(self._load_state.stat().st_mtime, UTC)
        except OSError:
            return None

    @contextmanager
    def opened(self) -> Iterator[Connection | None]:
        """See `PublishedCopy.opened`."""
        with self._lock:
            # DuckDB shares an open instance by its path: it would be the file that was replaced
            if self.version() is None:
                yield None
                return
            try:
                with self._published.connect(memory_limit="256MB", threads=2) as connection:
                    yield connection
            except WarehouseError as error:
                raise CopyUnreadable(f"{self._published.location}: {error}") from error
