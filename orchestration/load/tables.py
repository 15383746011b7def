"""The raw tables of the warehouse as they are before the first row: their columns, and making them.

The load and the quarantine fill them. What dbt makes of them belongs to `dbt_project/`.
"""

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import duckdb_file

EVENT_COLUMNS = (
    "event_key varchar not null, event_id varchar, source varchar, event_type varchar, call_id varchar, "
    "occurred_at timestamp, received_at timestamp, customer_phone varchar, direction varchar, "
    "payload json, loaded_at timestamp"
)
_TABLES = {
    "call_events": EVENT_COLUMNS,
    "quarantined_events": f"{EVENT_COLUMNS}, reason varchar, quarantined_at timestamp",
    "rejected_lines": (
        "position_key varchar not null, segment varchar, byte_offset bigint, reason varchar, line varchar, "
        "loaded_at timestamp"
    ),
    "outbox_actions": (
        "action_key varchar not null, channel varchar, kind varchar, source varchar, call_id varchar, "
        "destination varchar, payload json, status varchar, attempts bigint, external_id varchar, "
        "last_error varchar, due_at timestamp, next_attempt_at timestamp, created_at timestamp, "
        "updated_at timestamp, sent_at timestamp, loaded_at timestamp, _dlt_load_id varchar, _dlt_id varchar"
    ),
    "listed_calls": (
        "call_key varchar not null, source varchar, call_id varchar, created_at timestamp, ended_at timestamp, "
        "is_over boolean, expected_events varchar, call varchar, listed_at timestamp, "
        "_dlt_load_id varchar not null, _dlt_id varchar not null"
    ),
}


def ensure_tables(settings: OrchestrationSettings) -> None:
    """Make the raw tables that no row has called for yet, so that dbt can always select from them.

    Call inside `warehouse.writing`.
    """
    with duckdb_file.connect(settings, read_only=False) as connection:
        connection.execute(f"create schema if not exists {duckdb_file.RAW}")
        for table, columns in _TABLES.items():
            connection.execute(f"create table if not exists {duckdb_file.RAW}.{table} ({columns})")
