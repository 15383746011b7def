"""Locks between processes that die with their holder: a file lock for SQLite, one of a transaction for Postgres.

They decide who works; what was done is decided by the tables alone. Who may send on Postgres is decided by `leases`.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from integrations.outbox.engine import not_writable, sqlite_path


@contextmanager
def process_lock(engine: Engine, name: str, *, wait: bool) -> Iterator[bool]:
    """Hold the outbox's lock of this name; without `wait`, yields False at once if somebody else has it.

    On Postgres for short work only: a transaction is open meanwhile.
    """
    path = sqlite_path(engine)
    holder = _file_lock(f"{path}.{name}.lock", wait) if path else _advisory_lock(engine, name, wait)
    with holder as held:
        yield held


@contextmanager
def _file_lock(path: str, wait: bool) -> Iterator[bool]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise not_writable(path, "its lock file cannot be opened", error.strerror) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def _advisory_lock(engine: Engine, name: str, wait: bool) -> Iterator[bool]:
    number = int.from_bytes(
        hashlib.sha256(f"aftercall outbox {name}".encode()).digest()[:8], "big", signed=True
    )
    # The transaction's, not the session's: a pooler between transactions would hand the session to somebody else.
    take = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    with engine.begin() as connection:
        yield connection.execute(text(f"SELECT {take}(:number)"), {"number": number}).scalar() is not False
