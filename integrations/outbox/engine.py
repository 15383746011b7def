"""Connections to the outbox: the two databases' peculiarities, and how a write begins.

Every write first takes the one row of `change_counter`. So writers stand in line on Postgres as they do on
SQLite anyway, what a write reads cannot change under it, and the numbers rise in the order of the commits:
a reader that goes on from the last number it saw never misses a row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, update
from sqlalchemy.exc import ArgumentError

from integrations.outbox.schema import change_counter

BUSY_SECONDS = 60


@dataclass(frozen=True)
class Write:
    """A transaction that may change the outbox: its connection, and the number its rows are marked with."""

    connection: Connection
    number: int


def make_engine(url: str) -> Engine:
    """An engine for a SQLite file (its folder is made) or Postgres; ValueError for anything else."""
    try:
        address = make_url(url)
    except ArgumentError:
        raise ValueError(
            "AFTERCALL_OUTBOX_URL is not a database URL, like sqlite:////path/outbox.sqlite"
        ) from None
    if address.get_backend_name() == "postgresql":
        if address.drivername == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
        try:
            return create_engine(address, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"an outbox on Postgres needs the package {error.name}: pip install it"
            ) from None
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        raise ValueError("AFTERCALL_OUTBOX_URL must be a SQLite file (not in memory) or Postgres")
    Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def sqlite_path(engine: Engine) -> Path | None:
    """The file behind a SQLite engine; None for Postgres."""
    return Path(str(engine.url.database)).absolute() if engine.dialect.name == "sqlite" else None


@contextmanager
def reading(engine: Engine | Connection) -> Iterator[Connection]:
    """A transaction that only reads; of a connection the one that it is in."""
    if isinstance(engine, Connection):
        yield engine
        return
    with engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine, *, durable: bool = False, is_kept: bool = True) -> Iterator[Write]:
    """A transaction that writes: all of it or nothing.

    Args:
        engine: the outbox's engine.
        durable: on disk before this returns, even if the machine loses power. Without it a SQLite commit
            survives the death of the process at once, and that of the machine a little later (WAL,
            synchronous=NORMAL): what is lost is always the newest end, never the middle. Postgres is always
            durable.
        is_kept: if not, all is taken back at the end: it was written only to be read in here.
    """
    take = update(change_counter).values(value=change_counter.c.value + 1).returning(change_counter.c.value)
    options = {"outbox_write": True, "outbox_durable": durable}
    with engine.connect().execution_options(**options) as connection, connection.begin() as transaction:
        yield Write(connection, connection.execute(take).scalar_one())
        if not is_kept:
            transaction.rollback()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own idea of when to begin would take the write lock too late (SQLITE_BUSY without waiting).
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('outbox_durable') else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("outbox_write") else "BEGIN")
