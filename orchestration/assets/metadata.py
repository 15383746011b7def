"""What a materialisation says of itself beside its rows and seconds: how far behind it is, and a few of its rows.

Dagster shows a table value as plain text, so that what strangers said stays text.
"""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

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
    rows = connection.execute(f"select count(*) from {relation}").fetchone()  # noqa: S608
    order = "order by rowid desc" if is_table else ""
    frame = connection.execute(f"select * from {relation} {order} limit {PREVIEW_ROWS}").df()  # noqa: S608
    count = dg.MetadataValue.int(int(rows[0]) if rows else 0)
    return {"dagster/row_count": count, "preview": table(frame)}


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, bool | int):
        return value
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    text = str(value)
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"
