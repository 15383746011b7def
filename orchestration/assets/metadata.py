"""What a materialisation says of itself beside its rows and seconds: how far behind it is, and a few of its rows.

Dagster shows a table value as plain text, so that what strangers said stays text.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from orchestration import publish
from orchestration.config import OrchestrationSettings

PREVIEW_ROWS = 5
_CELL_CHARACTERS = 80


def table(frame: pd.DataFrame) -> dg.TableMetadataValue:
    """A small frame as Dagster's own table, long cells cut."""
    schema = dg.TableSchema(columns=[dg.TableColumn(str(name)) for name in frame.columns])
    records = [
        dg.TableRecord({str(name): _cell(value) for name, value in row.items()})
        for row in frame.to_dict("records")
    ]
    return dg.MetadataValue.table(records=records, schema=schema)


def seconds_since(moment: datetime | None, now: datetime) -> dg.MetadataValue[Any]:
    """Seconds from a moment until now; null without one."""
    if moment is None:
        return dg.MetadataValue.null()
    return dg.MetadataValue.float(round((now - moment).total_seconds(), 2))


def lag_seconds(
    connection: duckdb.DuckDBPyConnection, schema: str, name: str, column: str
) -> dg.MetadataValue[Any]:
    """Seconds from the newest moment in a column (UTC) until now; null in an empty table."""
    newest = connection.execute(f'select max("{column}") from "{schema}"."{name}"').fetchone()  # noqa: S608
    moment = newest[0].replace(tzinfo=UTC) if newest and newest[0] else None
    return seconds_since(moment, datetime.now(UTC))


def of_relation(
    connection: duckdb.DuckDBPyConnection, schema: str, name: str
) -> dict[str, dg.MetadataValue[Any]]:
    """Row count and the rows inserted last (of a view: the first ones)."""
    relation = f'"{schema}"."{name}"'
    is_table = connection.execute(
        "select 1 from duckdb_tables() where schema_name = ? and table_name = ?", [schema, name]
    ).fetchone()
    found = connection.execute(f"select count(*) from {relation}").fetchone()  # noqa: S608
    rows = int(found[0]) if found else 0
    # the condition holds for the last rows and, of a table that lost some, for others; it spares reading all
    last = f"where rowid >= {rows - PREVIEW_ROWS} order by rowid desc" if is_table else ""
    frame = connection.execute(f"select * from {relation} {last} limit {PREVIEW_ROWS}").df()  # noqa: S608
    return {"dagster/row_count": dg.MetadataValue.int(rows), "preview": table(frame)}


def of_published(
    settings: OrchestrationSettings, keys: Iterable[dg.AssetKey]
) -> dict[dg.AssetKey, dict[str, dg.MetadataValue[Any]]]:
    """Rows of those assets that are marts as the last published copy holds them, and when it was made.

    There they are tables. To count and read every view of the warehouse takes 2.5 s on a history of 100,000 calls,
    which a pass would wait for.
    """
    names = {key.path[-1]: key for key in keys if key.path[0] == publish.SCHEMA}
    try:
        with duckdb.connect(str(settings.published), read_only=True) as connection:
            tables = connection.execute("select table_name from duckdb_tables()").fetchall()
            made_at = dg.MetadataValue.timestamp(settings.published.stat().st_mtime)
            return {
                names[name]: {**of_relation(connection, "main", name), "counted_at": made_at}
                for (name,) in tables
                if name in names
            }
    except (duckdb.Error, OSError):  # none yet, or none that can be read: the next copy will be whole
        return {}


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, bool | int):
        return value
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    text = str(value)
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"
