"""The published marts as Parquet, one folder per mart, one file per day, for tools that read files.

    parquet/calls/2026-11-02.parquet      marts about calls: by the day of the call, UTC
    parquet/actions/2026-11-02.parquet    by the day the action was recorded, UTC
    parquet/scorecard_weekly/…            marts that count days or weeks: by the day, or the week's Monday
    parquet/customers/all.parquet         marts that belong to no day

Reads the published copy alone, so the warehouse is free meanwhile.
"""

from pathlib import Path

import orjson

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import open_warehouse
from orchestration.warehouse.duckdb_connection import quoted
from orchestration.warehouse.interface import Connection

_STATE = "exported.json"
_DAYS = ("call_date", "due_date", "period_start")
_OF_ITS_CALL = "(select call_date from calls where calls.call_key = mart.call_key)"

Digests = dict[str, dict[str, str]]


def export(settings: OrchestrationSettings) -> list[Path]:
    """The files written: those whose rows differ from the last export. Files of days that are gone are removed.

    A digest of each day's rows shows what changed, so late events, calls that move to another day and changed rules
    all count. A file is written beside and renamed; after a kill the next export only writes more.
    """
    before = _exported(settings)
    now: Digests = {}
    written: list[Path] = []
    with open_warehouse(settings).published.connect(memory_limit=settings.duckdb_memory) as connection:
        for mart, columns in _marts(connection).items():
            day = _day(mart, columns)
            now[mart] = _digests(connection, mart, day)
            for name, digest in now[mart].items():
                path = settings.parquet / mart / f"{name}.parquet"
                if before.get(mart, {}).get(name) != digest or not path.exists():
                    query = f'select * from "{mart}" as mart where {day} = {quoted(name)}'  # noqa: S608 - our own names
                    _write(connection, query, path)
                    written.append(path)
    for path in settings.parquet.glob("*/*.parquet"):
        if path.stem not in now.get(path.parent.name, {}):
            path.unlink()
    fresh = settings.parquet / f"{_STATE}.new"
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.write_bytes(orjson.dumps(now))
    fresh.replace(settings.parquet / _STATE)
    return written


def _marts(connection: Connection) -> dict[str, set[str]]:
    """The columns of every mart."""
    rows = connection.rows(
        "select table_name, list(column_name) from duckdb_columns() where not internal group by all order by 1"
    )
    return {mart: set(columns) for mart, columns in rows}


def _day(mart: str, columns: set[str]) -> str:
    """The SQL of a row's file name."""
    if mart == "actions":
        moment = "created_at::date"
    elif day := next((name for name in _DAYS if name in columns), None):
        moment = day
    elif "call_key" in columns:
        moment = _OF_ITS_CALL
    else:
        return "'all'"
    return f"coalesce({moment}::varchar, 'unknown')"


def _digests(connection: Connection, mart: str, day: str) -> dict[str, str]:
    rows = connection.rows(
        f"select {day}, count(*) || '-' || bit_xor(hash(mart)) from \"{mart}\" as mart group by 1 order by 1"  # noqa: S608
    )
    return dict(rows)


def _exported(settings: OrchestrationSettings) -> Digests:
    """What the last export held; nothing if there was none, or its note cannot be read."""
    try:
        digests: Digests = orjson.loads((settings.parquet / _STATE).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return digests


def _write(connection: Connection, query: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    connection.execute(f"copy ({query}) to {quoted(str(fresh))} (format parquet, compression zstd)")
    fresh.replace(path)
