"""What a materialisation says of itself beside its rows and seconds: how far behind it is, and a few of its rows.

Dagster shows a table value as plain text, so that what strangers said stays text.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from orchestration import publish
from orchestration.config import OrchestrationSettings

Relation = tuple[str, str]
"""Schema and name."""
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


def of_relations(
    connection: duckdb.DuckDBPyConnection, relations: Collection[Relation]
) -> dict[Relation, dict[str, dg.MetadataValue[Any]]]:
    """Of each (schema, name) the row count and the rows inserted last; of a view the first ones.

    A pass waits for it: tables are counted by one query, and only the end of each is read (half the time, measured).
    """
    tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
    ends = _ends(connection, [relation for relation in relations if relation in tables])
    return {relation: _described(connection, relation, ends.get(relation)) for relation in relations}


def _ends(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Relation]
) -> dict[Relation, tuple[int, int]]:
    """Rows of each table, and the number of its last row, from which others may be missing."""
    each = [
        f"select {place}, count(*), coalesce(max(rowid), -1) from {_quoted(table)}"  # noqa: S608 - our own names
        for place, table in enumerate(tables)
    ]
    found = connection.execute(" union all ".join(each)).fetchall() if each else []
    return {tables[place]: (rows, last) for place, rows, last in found}


def _described(
    connection: duckdb.DuckDBPyConnection, relation: Relation, end: tuple[int, int] | None
) -> dict[str, dg.MetadataValue[Any]]:
    every = f"select * from {_quoted(relation)}"  # noqa: S608 - our own names
    first = f"{every} limit {PREVIEW_ROWS}"
    if end is None:
        counted = connection.execute(f"select count(*) from {_quoted(relation)}").fetchone()  # noqa: S608
        rows, shown = int(counted[0]) if counted else 0, connection.execute(first).fetchall()
    else:
        rows, last = end
        shown = connection.execute(f"{every} where rowid > {last - PREVIEW_ROWS}").fetchall()[::-1]
        if len(shown) < min(rows, PREVIEW_ROWS):
            shown = connection.execute(first).fetchall()
    names = [column[0] for column in connection.description or []]
    return {
        "dagster/row_count": dg.MetadataValue.int(rows),
        "preview": table(pd.DataFrame(shown, columns=names)),
    }


def _quoted(relation: Relation) -> str:
    schema, name = relation
    return f'"{schema}"."{name}"'


def of_published(
    settings: OrchestrationSettings, keys: Iterable[dg.AssetKey]
) -> dict[dg.AssetKey, dict[str, dg.MetadataValue[Any]]]:
    """Rows of those assets that are marts as the last published copy holds them, and when it was made.

    There they are tables. To count and read every view of the warehouse takes 2.5 s on a history of 100,000 calls,
    which a pass would wait for.
    """
    marts = {("main", key.path[-1]): key for key in keys if key.path[0] == publish.SCHEMA}
    try:
        with duckdb.connect(str(settings.published), read_only=True) as connection:
            tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            copied = of_relations(connection, marts.keys() & set(tables))
            made_at = dg.MetadataValue.timestamp(settings.published.stat().st_mtime)
            return {marts[one]: {**said, "counted_at": made_at} for one, said in copied.items()}
    except (duckdb.Error, OSError):  # none yet, or none that can be read: the next copy will be whole
        return {}


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, bool | int):
        return value
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    text = str(value)
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"
