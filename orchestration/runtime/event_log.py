"""Dagster's event log in one SQLite file, which holds each event once and returns the space of removed ones.

Dagster's default is one file per run beside one for all runs: 130 KB for each empty file, and every asset event in
both. `history.py` decides which runs are removed, and when.
"""

import fcntl
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import sqlalchemy as sa
from dagster._core.events import StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.plan.outputs import StepOutputData
from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import (
    SQLITE_EVENT_LOG_FILENAME,
    ConsolidatedSqliteEventLogStorage,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._serdes import ConfigurableClassData
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

FOLDER = "history"
_PAGE_BYTES = 8192
_INPUTS = ("dagster/code_version", "dagster/input_")


class EventLog(ConsolidatedSqliteEventLogStorage):
    """The log in `<base_dir>/history/event_log.db`; `base_dir` is Dagster's home."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(str(Path(base_dir) / FOLDER), inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "EventLog":
        """The log that `dagster.yaml` names."""
        return cls(config_value["base_dir"], inst_data)

    def _init_db(self) -> None:
        """Create the file under another name, then rename it: other processes see a whole file or none."""
        folder, final = Path(self._base_dir), self._conn_string
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{SQLITE_EVENT_LOG_FILENAME}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._file.exists():
                return
            fresh = folder / f"{SQLITE_EVENT_LOG_FILENAME}.new.db"
            for left in folder.glob(f"{fresh.name}*"):
                left.unlink()
            with sqlite3.connect(fresh) as connection:
                # must precede the first table: pages that hold several events, and that can be returned one by one
                connection.execute(f"pragma page_size = {_PAGE_BYTES}")
                connection.execute("pragma auto_vacuum = incremental")
                connection.execute("vacuum")
            connection.close()
            self._conn_string = create_db_conn_string(self._base_dir, fresh.stem)
            super()._init_db()  # type: ignore[no-untyped-call]
            self._conn_string = final
            del self.__dict__["_engine"]
            fresh.rename(self._file)

    @property
    def _file(self) -> Path:
        return Path(str(self.get_db_path()))  # type: ignore[no-untyped-call]

    @cached_property
    def _engine(self) -> sa.Engine:
        """One engine per process: it keeps the statements that it compiled, and no connection."""
        engine = sa.create_engine(
            self._conn_string,
            poolclass=sa.NullPool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )
        sa.event.listen(engine, "connect", _without_waiting_for_the_disk)
        return engine

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def store_event(self, event: EventLogEntry) -> None:
        """Write an event without the parts that the log stores elsewhere."""
        super().store_event(_lighter(event))

    def _event_to_row(self, event: EventLogEntry) -> dict[str, Any]:
        """The row of an event, its JSON without blanks."""
        row: dict[str, Any] = super()._event_to_row(event)
        return {**row, "event": orjson.dumps(orjson.loads(row["event"])).decode()}

    def watch(self, run_id: str, cursor: str | None, callback: Any) -> None:
        """Call back with each new event of a run; the run's page in the UI needs it."""
        if not self._obs:
            observer: Any = Observer()
            observer.schedule(_Watcher(self), self._base_dir)
            observer.start()
            self._obs = observer
        self._watchers[run_id][callback] = cursor


class _Watcher(FileSystemEventHandler):
    """Looks for events after each write to the file or its write-ahead log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def on_modified(self, event: FileSystemEvent) -> None:
        path = str(event.src_path)
        if path.removesuffix("-wal") == str(self._log._file):
            self._log.on_modified()  # type: ignore[no-untyped-call]


def _without_waiting_for_the_disk(connection: Any, _record: object) -> None:
    """A power cut may lose the last events but not the file; every run can be started again."""
    connection.execute("pragma synchronous = normal")


def _lighter(event: EventLogEntry) -> EventLogEntry:
    """The event without duplicated and unused parts.

    An output's metadata repeats that of the materialisation after it. Message, step and names are stored twice. The
    versions of an asset's inputs were a third of the rest; without them Dagster compares the times of materialisations
    to tell whether an asset is out of date.
    """
    inner = event.dagster_event
    if inner is None:
        return event
    data: Any = inner.event_specific_data
    if isinstance(data, StepOutputData):
        data = data._replace(metadata={})
    elif isinstance(data, StepMaterializationData) and data.materialization.tags:
        tags = {
            name: value for name, value in data.materialization.tags.items() if not name.startswith(_INPUTS)
        }
        data = data._replace(materialization=_with_tags(data.materialization, tags))
    lighter = inner._replace(event_specific_data=data, logging_tags={}, node_handle=None)
    return event._replace(dagster_event=lighter, user_message="" if inner.message else event.user_message)


def _with_tags(one: dg.AssetMaterialization, tags: Mapping[str, str]) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        one.asset_key, description=one.description, metadata=one.metadata, partition=one.partition, tags=tags
    )
