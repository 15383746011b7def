"""The published copy of the marts: written beside, then renamed, so that no reader waits or makes one wait.

The file is called after the schema, and DuckDB calls the catalogue after the file: its tables stand in the default
schema, so that both `calls` and `marts.calls` name one (a schema `marts` within would make the second ambiguous).

Which file the next one starts from belongs to `copies`, how rows get into it to `marts_copy`; which tables exist and
what they mean to `dbt_project/models/marts/`.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import copy_files, duckdb_file, incremental_copy
from orchestration.warehouse.incremental_copy import SCHEMA

__all__ = ["SCHEMA", "PublishReport", "is_behind", "publish", "wait_seconds"]


@dataclass(frozen=True)
class PublishReport:
    """Rows by table, when the newest event in it arrived (UTC), size of the file in bytes, seconds it took.

    `renewed`: how many calls were written anew into a copy of the last file; None if all were.
    """

    rows: dict[str, int]
    newest: datetime | None
    file_bytes: int
    seconds: float
    renewed: int | None


def wait_seconds(settings: OrchestrationSettings) -> float:
    """How long the next copy has to wait so that readers are not handed one too often; 0: none is too soon.

    Never longer than the setting, whatever happened to the clock; and not at all after a restart of the machine.
    """
    age = copy_files.published_seconds_ago(settings)
    return 0.0 if age is None else max(0.0, settings.publish_every_seconds - age)


def is_behind(settings: OrchestrationSettings) -> bool:
    """Whether the warehouse holds another version than the copy. Opens no database, so that a sensor may ask."""
    current = duckdb_file.version(settings)
    return current is not None and current != copy_files.published_version(settings)


def publish(settings: OrchestrationSettings) -> PublishReport:
    """Copy every mart with its comments and put the file in the old one's place in one step.

    Of marts that hold calls only those that changed since the last copy are written, into a copy of that file.
    """
    started = time.monotonic()
    target = settings.published
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".new")
    with duckdb_file.reading(settings):
        version = duckdb_file.version(settings) or ""
        made = duckdb_file.with_enough_memory(settings, lambda roomy: incremental_copy.make(roomy, fresh))
        copy_files.put_in_place(settings, fresh, made.marks, version)
    return PublishReport(
        made.rows, made.newest, target.stat().st_size, time.monotonic() - started, made.renewed
    )
