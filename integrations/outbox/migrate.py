"""Bringing an outbox to the newest schema. The steps themselves are in `migrations/versions/`.

An outbox is opened on every pass, so when it is at the head already nothing of Alembic is imported.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text

from integrations.outbox.engine import reading, sqlite_path
from integrations.outbox.locks import process_lock

HEAD = "0006"
SCRIPTS = Path(__file__).parent / "migrations"


class OutboxTooNew(RuntimeError):
    """The outbox was written by a newer aftercall than this one."""


def migrate(engine: Engine) -> None:
    """Bring the outbox to HEAD; safe when several processes open it for the first time at once."""
    if revision(engine) == HEAD:
        return
    with process_lock(engine, "migrate", wait=True):
        if revision(engine) == HEAD:
            return
        if sqlite_path(engine):
            _use_wal(engine)
        move_to(engine, HEAD)


def revision(engine: Engine) -> str | None:
    """The schema's revision, None for an empty database."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def move_to(engine: Engine, target: str) -> None:
    """Up or down to a revision (`base`: nothing left) in one transaction; the caller holds the lock.

    Raises:
        OutboxTooNew: if the database is at a revision that this version does not know.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config()
    current = revision(engine)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise OutboxTooNew(
            f"the outbox is at revision {current}, newer than this aftercall ({HEAD}); update aftercall"
        )
    with engine.connect().execution_options(outbox_write=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        down = target == "base" or (current is not None and target < current)
        (command.downgrade if down else command.upgrade)(config, target)


def _config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _use_wal(engine: Engine) -> None:
    # The mode stays with the file; it cannot be changed inside a transaction.
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
