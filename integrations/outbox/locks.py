"""Locks between processes that die with their holder: a file lock for SQLite, an advisory lock for Postgres.

They decide who works; what was done is decided by the tables alone.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from integrations.outbox.engine import sqlite_path


@contextmanager
def process_lock(engine: Engine, name: str, *, wait: bool) -> Iterator[bool]:
    """Hold the outbox's lock of this name; without `wait`, yields False at once if somebody else has it."""
    path = sqlite_path(engine)
    holder = _file_lock(f"{path}.{name}.lock", wait) if path else _advisory_lock(engine, name, wait)
    with holder as held:
        yield held


@contextmanager
def _file_lock(path: str, wait: bool) -> Iterator[bool]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
    # Autocommit: the lock is the session's, and an open transaction would hold back the database's clean-up.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        take = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
        held = connection.execute(text(f"SELECT {take}(:number)"), {"number": number}).scalar() is not False
        try:
            yield held
        finally:
            if held:
                connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})
