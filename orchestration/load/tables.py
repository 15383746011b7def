"""The raw tables of the warehouse: their columns, declared once for dlt and for SQL, and making them before any row.

The loads and the quarantine fill them. What dbt makes of them belongs to `dbt_project/`.
"""

from typing import TYPE_CHECKING

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import RAW, open_warehouse

if TYPE_CHECKING:
    from dlt.common.data_types.typing import TDataType
    from dlt.common.schema.typing import TTableSchemaColumns

EVENTS, QUARANTINED = f"{RAW}.call_events", f"{RAW}.quarantined_events"
_Columns = dict[str, "TDataType"]
_EVENTS: _Columns = {
    "event_key": "text",
    "event_id": "text",
    "source": "text",
    "event_type": "text",
    "call_id": "text",
    "occurred_at": "timestamp",
    "received_at": "timestamp",
    "customer_phone": "text",
    "direction": "text",
    "payload": "json",
    "loaded_at": "timestamp",
}
_TABLES: dict[str, _Columns] = {
    "call_events": _EVENTS,
    "quarantined_events": {**_EVENTS, "reason": "text", "quarantined_at": "timestamp"},
    "rejected_lines": {
        "position_key": "text",
        "segment": "text",
        "byte_offset": "bigint",
        "reason": "text",
        "line": "text",
        "loaded_at": "timestamp",
    },
    "outbox_actions": {
        "action_key": "text",
        "channel": "text",
        "kind": "text",
        "source": "text",
        "call_id": "text",
        "destination": "text",
        "payload": "json",
        "status": "text",
        "attempts": "bigint",
        "external_id": "text",
        "last_error": "text",
        "due_at": "timestamp",
        "next_attempt_at": "timestamp",
        "created_at": "timestamp",
        "updated_at": "timestamp",
        "sent_at": "timestamp",
        "loaded_at": "timestamp",
    },
    "listed_calls": {
        "call_key": "text",
        "source": "text",
        "call_id": "text",
        "created_at": "timestamp",
        "ended_at": "timestamp",
        "is_over": "bool",
        "expected_events": "text",
        "call": "text",
        "listed_at": "timestamp",
    },
}
"""Columns by table; the first is the key, and is never null."""
_SQL_TYPES: dict["TDataType", str] = {
    "text": "varchar",
    "timestamp": "timestamp",
    "bigint": "bigint",
    "bool": "boolean",
    "json": "json",
}
# dlt adds these to rows that it takes as dictionaries, and reads the tables' null constraints from the schema
_OF_DLT = {
    "outbox_actions": ", _dlt_load_id varchar, _dlt_id varchar",
    "listed_calls": ", _dlt_load_id varchar not null, _dlt_id varchar not null",
}


def columns_for_dlt(table: str) -> "TTableSchemaColumns":
    """Column hints of a table, fresh mappings since dlt writes into them: times have no zone, all are UTC."""
    hints: TTableSchemaColumns = {}
    for name, data_type in _TABLES[table].items():
        hints[name] = {"data_type": data_type}
        if data_type == "timestamp":
            hints[name]["timezone"] = False
    hints[_key(table)]["nullable"] = False
    return hints


def ensure_tables(settings: OrchestrationSettings) -> None:
    """Make the raw tables that no row has called for yet, so that dbt can always select from them.

    Call inside `Warehouse.writing`.
    """
    with open_warehouse(settings).connect(read_only=False) as connection:
        connection.execute(f"create schema if not exists {RAW}")
        for table in _TABLES:
            connection.execute(f"create table if not exists {RAW}.{table} ({_columns_for_sql(table)})")


def _columns_for_sql(table: str) -> str:
    key = _key(table)
    columns = ", ".join(
        f"{name} {_SQL_TYPES[data_type]}{' not null' if name == key else ''}"
        for name, data_type in _TABLES[table].items()
    )
    return columns + _OF_DLT.get(table, "")


def _key(table: str) -> str:
    return next(iter(_TABLES[table]))
