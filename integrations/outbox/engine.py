"""Connections to the outbox: the two databases' peculiarities, and how a write begins.

Every write first takes the one row of `change_counter`. So writers stand in line on Postgres as they do on
SQLite anyway, what a write reads cannot change under it, and the numbers rise in the order of the commits:
a reader that goes on from the last number it saw never misses a row.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, insert, make_url, select, update
from sqlalchemy.exc import ArgumentError, DBAPIError

from integrations.outbox.schema import change_counter, watermarks

T = TypeVar("T")

BUSY_SECONDS = 60
# A server that restarts is back within this time; a mark that waits so long is better than a second mail.
RECONNECT_SECONDS = 60.0
_UNWRITABLE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file, or the disk under it, is read-only",
    sqlite3.SQLITE_BUSY: "another process holds the file",
    sqlite3.SQLITE_LOCKED: "another process holds the file",
    sqlite3.SQLITE_IOERR: "the disk fails",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
}
# SQLSTATE: out of disk, a read-only transaction (a standby).
_UNWRITABLE_STATES = {"53100": "the disk is full", "25006": "the server is read-only"}


class OutboxNotWritable(RuntimeError):
    """The outbox cannot be written, so nothing is sent: what cannot be marked would go out again and again."""


@dataclass(frozen=True)
class Write:
    """A transaction that may change the outbox: its connection, and the number its rows are marked with."""

    connection: Connection
    number: int


def make_engine(url: str) -> Engine:
    """An engine for a SQLite file, whose folder is created, or Postgres; ValueError for anything else."""
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
            # A pooler between transactions (PgBouncer) gives each one another session: none may be prepared in it.
            prepares = {"prepare_threshold": None} if address.drivername.endswith("+psycopg") else {}
            return create_engine(address, pool_pre_ping=True, connect_args=prepares)
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


def is_shared(engine: Engine) -> bool:
    """True if dispatchers on several machines may use the outbox at once: then actions are claimed."""
    return engine.dialect.name == "postgresql"


def insistently(engine: Engine, work: Callable[[bool], T]) -> T:
    """What `work` returns; asked again, with True, while the connection to the server breaks under it.

    `work`: whole transactions, which may have been carried out when it is asked again.
    """
    deadline, wait, is_again = time.monotonic() + RECONNECT_SECONDS, 0.05, False
    while True:
        try:
            return work(is_again)
        except DBAPIError as error:
            # Only the class of the error shows that there was never a connection.
            is_broken = error.connection_invalidated or type(error.orig).__name__ == "OperationalError"
            if not is_shared(engine) or not is_broken or time.monotonic() > deadline:
                raise
        time.sleep(wait)
        wait, is_again = min(2 * wait, 2.0), True


@contextmanager
def writing(engine: Engine, *, durable: bool = False, undo: bool = False) -> Iterator[Write]:
    """A transaction that writes: all of it or nothing. Raises OutboxNotWritable.

    Args:
        engine: the outbox's engine.
        durable: on disk before this returns, even if the machine loses power. Without it a SQLite commit
            survives the death of the process at once, and that of the machine a little later (WAL,
            synchronous=NORMAL): what is lost is always the newest end, never the middle. Postgres is always
            durable.
        undo: take all of it back at the end, because it was written only to be read within the transaction.
    """
    take = update(change_counter).values(value=change_counter.c.value + 1).returning(change_counter.c.value)
    options = {"outbox_write": True, "outbox_durable": durable}
    try:
        with engine.connect().execution_options(**options) as connection, connection.begin() as transaction:
            yield Write(connection, connection.execute(take).scalar_one())
            if undo:
                transaction.rollback()
    except DBAPIError as error:
        reason = _unwritable(error)
        if reason is None:
            raise
        where = sqlite_path(engine) or engine.url.render_as_string()
        raise not_writable(where, reason, error.orig) from error


def watermark_of(engine: Engine, name: str) -> str | None:
    """The value stored under a name, None if there is none."""
    with reading(engine) as connection:
        return connection.execute(select(watermarks.c.value).where(watermarks.c.name == name)).scalar()


def write_watermark(write: Write, name: str, value: str) -> None:
    """Store a value under a name."""
    change = update(watermarks).where(watermarks.c.name == name).values(value=value)
    if write.connection.execute(change).rowcount == 0:
        write.connection.execute(insert(watermarks).values(name=name, value=value))


def not_writable(where: object, reason: str, error: object) -> OutboxNotWritable:
    """The error that says what failed, where, and what to do."""
    return OutboxNotWritable(
        f"Cannot write the outbox {where}: {reason} ({error}). Nothing is sent that cannot be marked. "
        "Free space, make the place writable, or end what holds the outbox; then the next pass goes on."
    )


def check_writable(engine: Engine) -> None:
    """Write, durably, what changes nothing but the counter. Raises OutboxNotWritable."""

    def write(_: bool) -> None:
        with writing(engine, durable=True):
            pass

    insistently(engine, write)


def _unwritable(error: DBAPIError) -> str | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        # The low byte is the kind, the rest says more of it.
        return _UNWRITABLE.get(code & 0xFF)
    return _UNWRITABLE_STATES.get(getattr(error.orig, "sqlstate", None) or "")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own idea of when to begin would take the write lock too late (SQLITE_BUSY without waiting).
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('outbox_durable') else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("outbox_write") else "BEGIN")
