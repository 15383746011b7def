"""Metadata of materialisations: row counts and lag.

Only counts and reasons enter Dagster's event log: no text, number or address of a caller does.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd

from orchestration.warehouse import Connection

Relation = tuple[str, str]
"""Schema and name."""
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


def lag_seconds(connection: Connection, schema: str, name: str, column: str) -> dg.MetadataValue[Any]:
    """Seconds from the newest moment in a column (UTC) until now; null in an empty table."""
    newest = connection.value(f'select max("{column}") from "{schema}"."{name}"')  # noqa: S608
    moment = newest.replace(tzinfo=UTC) if newest is not None else None
    return seconds_since(moment, datetime.now(UTC))


def row_counts(
    connection: Connection, relations: Sequence[Relation]
) -> dict[Relation, dict[str, dg.MetadataValue[Any]]]:
    """The row count of each (schema, name), by one query, since a pass waits for it.

    No row is shown: whoever may read Dagster's event log would see it.
    """
    queries = [
        f"select {index}, count(*) from {_quoted(relation)}"  # noqa: S608 - our own names
        for index, relation in enumerate(relations)
    ]
    counts = connection.rows(" union all ".join(queries)) if queries else []
    return {relations[index]: {"dagster/row_count": dg.MetadataValue.int(rows)} for index, rows in counts}


def _quoted(relation: Relation) -> str:
    schema, name = relation
    return f'"{schema}"."{name}"'


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, bool | int):
        return value
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    text = str(value)
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"
