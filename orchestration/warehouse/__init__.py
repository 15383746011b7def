"""The warehouse: reading, writing, building and publishing it. The only room that knows where and what it is.

`open_warehouse` is the one place where the engine is chosen; everything else sees only `Warehouse`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import duckdb_connection, duckdb_file
from orchestration.warehouse.file_lock import exclusive
from orchestration.warehouse.interface import (
    MARTS,
    RAW,
    Connection,
    LandingMarks,
    NotPublished,
    Published,
    PublishReport,
    QueryFailed,
    RelationMissing,
    UnknownWarehouse,
    Warehouse,
    WarehouseBusy,
    WarehouseError,
)
from orchestration.warehouse.memory import with_enough_memory

__all__ = [
    "MARTS",
    "RAW",
    "Connection",
    "LandingMarks",
    "NotPublished",
    "PublishReport",
    "Published",
    "QueryFailed",
    "RelationMissing",
    "UnknownWarehouse",
    "Warehouse",
    "WarehouseBusy",
    "WarehouseError",
    "exclusive",
    "memory_connection",
    "open_warehouse",
    "with_enough_memory",
]
_ENGINES: dict[str, tuple[str, Callable[[str, OrchestrationSettings], Warehouse]]] = {
    duckdb_file.SCHEME: (duckdb_file.FORM, duckdb_file.from_url)
}
"""By the scheme of a URL: what such a URL looks like, and the function that opens it."""


def open_warehouse(settings: OrchestrationSettings) -> Warehouse:
    """The warehouse that `AFTERCALL_WAREHOUSE_URL` names, or else the DuckDB file of the home.

    Raises UnknownWarehouse for a URL of another scheme than those supported.
    """
    url = settings.warehouse_url
    if not url:
        return duckdb_file.of_home(settings)
    scheme = url.partition(":")[0]
    if scheme not in _ENGINES:
        forms = ", ".join(form for form, _ in _ENGINES.values())
        raise UnknownWarehouse(  # the rest of the URL may hold a password
            f"AFTERCALL_WAREHOUSE_URL: no warehouse is reached by {scheme!r}; supported: {forms}"
        )
    _, opened = _ENGINES[scheme]
    return opened(url, settings)


@contextmanager
def memory_connection(settings: OrchestrationSettings, threads: int = 1) -> Iterator[Connection]:
    """A connection to nothing, for SQL over Arrow tables, within the memory limit of a load."""
    options = {"memory_limit": settings.warehouse_memory_limit, "threads": threads}
    with duckdb_connection.connect(":memory:", options) as connection:
        yield connection
