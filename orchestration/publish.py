"""The published copy of the marts: written beside, then renamed, so that no reader waits or makes one wait.

The file is called after the schema, and DuckDB calls the catalogue after the file: its tables stand in the default
schema, so that both `calls` and `marts.calls` name one (a schema `marts` within would make the second ambiguous).

Which tables exist and what they mean belongs to `dbt_project/models/marts/`.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration import warehouse
from orchestration.config import OrchestrationSettings

SCHEMA = "marts"


@dataclass(frozen=True)
class PublishReport:
    """Rows by table, when the newest event in it arrived (UTC), size of the file in bytes, seconds it took."""

    rows: dict[str, int]
    newest: datetime | None
    file_bytes: int
    seconds: float


def wait_seconds(settings: OrchestrationSettings) -> float:
    """How long the next copy has to wait so that readers are not handed one too often; 0: none is too soon."""
    try:
        age = time.time() - settings.published.stat().st_mtime
    except OSError:
        return 0.0
    # a clock that was set back must not put the next copy off for longer than the setting
    return max(0.0, settings.publish_every_seconds - max(0.0, age))


def is_behind(settings: OrchestrationSettings) -> bool:
    """Whether the warehouse was written after the copy was; tells it by the files alone, so sensors may ask."""
    written = [_written_at(path) for path in (settings.warehouse, Path(f"{settings.warehouse}.wal"))]
    newest = max((moment for moment in written if moment is not None), default=None)
    return newest is not None and newest > (_written_at(settings.published) or -1)


def _written_at(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def publish(settings: OrchestrationSettings) -> PublishReport:
    """Copy every mart with its comments and put the file in the old one's place in one step."""
    started = time.monotonic()
    target = settings.published
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".new")
    with warehouse.writing(settings):
        rows, newest = warehouse.with_enough_memory(settings, lambda roomy: _copy(roomy, fresh))
        fresh.replace(target)
    return PublishReport(rows, newest, target.stat().st_size, time.monotonic() - started)


def _copy(settings: OrchestrationSettings, fresh: Path) -> tuple[dict[str, int], datetime | None]:
    """Write the copy to a new file: its rows by table, and when the newest event in it arrived (UTC)."""
    rows: dict[str, int] = {}
    fresh.unlink(missing_ok=True)
    with duckdb.connect(config=warehouse.duckdb_config(settings)) as connection:
        connection.execute(f"attach '{_quoted(str(settings.warehouse))}' as warehouse (read_only)")
        connection.execute(f"attach '{_quoted(str(fresh))}' as fresh")
        tables = connection.execute(
            "select table_name, comment from duckdb_tables() "
            "where schema_name = $1 and database_name = 'warehouse' union all "
            "select view_name, comment from duckdb_views() "
            "where schema_name = $1 and database_name = 'warehouse' order by 1",
            [SCHEMA],
        ).fetchall()
        for table, comment in tables:
            name = f'fresh."{table}"'
            counted = connection.execute(
                f'create table {name} as from warehouse.{SCHEMA}."{table}"'
            ).fetchone()
            rows[table] = int(counted[0]) if counted else 0
            if comment:
                connection.execute(f"comment on table {name} is '{_quoted(comment)}'")
        columns = connection.execute(
            "select table_name, column_name, comment from duckdb_columns() "
            "where schema_name = ? and database_name = 'warehouse' and comment is not null",
            [SCHEMA],
        ).fetchall()
        for table, column, comment in columns:
            connection.execute(f'comment on column fresh."{table}"."{column}" is \'{_quoted(comment)}\'')
        newest = connection.execute("select max(updated_at) from fresh.calls").fetchone()
        connection.execute("detach fresh")
    return rows, newest[0].replace(tzinfo=UTC) if newest and newest[0] else None


def _quoted(text: str) -> str:
    return text.replace("'", "''")
