"""Dagster's files on this machine: files of removed runs, space that SQLite returns, logs cut short.

`history.py` decides which runs are removed.
"""

import logging
import re
import shutil
import sqlite3
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from orchestration.config import OrchestrationSettings
from receiver.config import ReceiverSettings

LOG = logging.getLogger("aftercall.history")
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BUSY_SECONDS = 5.0
_INCREMENTAL = 2


def is_space_short(settings: OrchestrationSettings) -> bool:
    """True while free space is below twice the receiver's reserve: history goes before events are refused."""
    if not settings.home.exists():
        return False
    return shutil.disk_usage(settings.home).free < 2 * ReceiverSettings().landing_min_free_bytes


def remove_run(instance: dg.DagsterInstance, settings: OrchestrationSettings, run_id: str) -> None:
    """Remove the captured output of a run, and the file in which Dagster's default log stores its events."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    shutil.rmtree(settings.dagster / "storage" / run_id, ignore_errors=True)
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        for end in ("", "-wal", "-shm"):
            Path(f"{storage.path_for_shard(run_id)}{end}").unlink(missing_ok=True)


def clear_orphans(instance: dg.DagsterInstance, settings: OrchestrationSettings) -> None:
    """Remove the captured output of runs that Dagster no longer knows; a killed housekeeper leaves such."""
    folder = settings.dagster / "storage"
    if folder.is_dir():
        captured = [path.name for path in folder.iterdir() if _RUN_ID.fullmatch(path.name)]
        known = (
            {run.run_id for run in instance.get_runs(dg.RunsFilter(run_ids=captured))} if captured else set()
        )
        for run_id in set(captured) - known:
            remove_run(instance, settings, run_id)


def give_back(settings: OrchestrationSettings) -> int:
    """The bytes freed by returning the pages of removed rows to the disk and by cutting logs.

    A file that another process is writing waits for the next call.
    """
    freed = 0
    shards = (settings.dagster / "history" / "runs").glob("index.db")
    for file in [*settings.dagster.glob("history/*.db"), *shards, *settings.dagster.glob("schedules/*.db")]:
        before = file.stat().st_size
        try:
            _shrink(file)
        except sqlite3.OperationalError as error:
            LOG.info("%s gives nothing back now: %s", file, error)
        freed += before - file.stat().st_size
    return freed + sum(_cut(log, settings.log_max_bytes) for log in (settings.home / "logs").glob("*.log"))


def _shrink(file: Path) -> None:
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        if connection.execute("pragma auto_vacuum").fetchone()[0] == _INCREMENTAL:
            # the statement frees one page per step, and Python's `execute` takes a single step
            connection.executescript("pragma incremental_vacuum")
        elif shutil.disk_usage(file.parent).free > 3 * file.stat().st_size:
            # once per file: this rewrites it; from then on pages are returned one by one
            connection.execute(f"pragma auto_vacuum = {_INCREMENTAL}")
            connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    finally:
        connection.close()


def _cut(log: Path, most_bytes: int) -> int:
    """The bytes freed by moving the end of a log larger than `most_bytes` to `<name>.1` and emptying the log."""
    size = log.stat().st_size
    if size <= most_bytes:
        return 0
    older = log.with_name(f"{log.name}.1")
    before = older.stat().st_size if older.exists() else 0
    with log.open("r+b") as file:
        file.seek(-most_bytes // 2, 2)
        older.write_bytes(file.read())
        # processes that have it open append, so they continue at the new end
        file.truncate(0)
    return size + before - older.stat().st_size
