"""Brings an outbox to the newest schema: a new one by `schema`, an older one by the steps in `migrations/versions/`.

An outbox is opened on every pass, so when it is at the head already nothing of Alembic is imported.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, inspect, text

from integrations.outbox.engine import reading, sqlite_path
from integrations.outbox.leases import process_lock
from integrations.outbox.schema import change_counter, metadata

HEAD = "0001_outbox"
SCRIPTS = Path(__file__).parent / "migrations"
# Revisions from before the first release; their steps are gone.
_UNRELEASED = frozenset({"0001", "0002", "0003", "0004", "0005"})


class OutboxTooNew(RuntimeError):
    """The outbox was written by a newer aftercall than this one."""


class OutboxTooOld(RuntimeError):
    """The outbox was written by an aftercall from before the first release."""


def migrate(engine: Engine) -> None:
    """Bring the outbox to HEAD; safe when several processes open it for the first time at once.

    Raises:
        OutboxTooNew: if the database is at a revision that this version does not know.
        OutboxTooOld: if it is at one from before the first release.
    """
    if revision(engine) == HEAD:
        return
    with process_lock(engine, "migrate", wait=True):
        current = revision(engine)
        if current == HEAD:
            return
        if current is not None:
            _check_known(engine, current)
        elif sqlite_path(engine):
            _use_wal(engine)
        with engine.connect().execution_options(outbox_write=True) as connection, connection.begin():
            _move(connection, is_new=current is None)


def revision(engine: Engine) -> str | None:
    """The schema's revision, None for an empty database."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _move(connection: Connection, *, is_new: bool) -> None:
    """Create every table at HEAD, or take the steps to it."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    if not is_new:
        command.upgrade(config, HEAD)
        return
    metadata.create_all(connection)
    connection.execute(insert(change_counter).values(id=1, value=0))
    command.stamp(config, HEAD)


def _check_known(engine: Engine, current: str) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    place = sqlite_path(engine) or engine.url.render_as_string()
    if current in _UNRELEASED:
        raise OutboxTooOld(
            f"Cannot open the outbox {place}: an aftercall from before the first release wrote it (revision "
            f"{current}). Let that aftercall send what is due, then move the outbox away: this one creates a new one. "
            "What is younger than its age limit becomes due again."
        )
    if current not in known:
        raise OutboxTooNew(
            f"Cannot open the outbox {place}: a newer aftercall wrote it (revision {current}, this one knows {HEAD}). "
            "Update aftercall."
        )


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
