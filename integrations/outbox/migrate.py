"""Brings an outbox to the newest schema. The steps themselves are in `migrations/versions/`.

An outbox is opened on every pass, so when it is at the head already nothing of Alembic is imported.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text

from integrations.outbox.engine import reading, sqlite_path
from integrations.outbox.leases import process_lock

HEAD = "0001_outbox"
SCRIPTS = Path(__file__).parent / "migrations"
# Revisions from before the first release; their steps are gone.
_UNRELEASED = frozenset({"0001", "0002", "0003", "0004", "0005"})


class OutboxTooNew(RuntimeError):
    """The outbox was written by a newer aftercall than this one."""


class OutboxTooOld(RuntimeError):
    """The outbox was written by an aftercall from before the first release."""


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
        OutboxTooOld: if it is at one from before the first release.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config()
    current = revision(engine)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    place = sqlite_path(engine) or engine.url.render_as_string()
    if current in _UNRELEASED:
        raise OutboxTooOld(
            f"Cannot open the outbox {place}: an aftercall from before the first release wrote it (revision "
            f"{current}). Let that aftercall send what is due, then move the outbox away: this one creates a new one. "
            "What is younger than its age limit becomes due again."
        )
    if current is not None and current not in known:
        raise OutboxTooNew(
            f"Cannot open the outbox {place}: a newer aftercall wrote it (revision {current}, this one knows {HEAD}). "
            "Update aftercall."
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
