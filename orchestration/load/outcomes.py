"""The dlt source of the outbox: what became of every action, back into `raw.outbox_actions`.

Reads rows changed since the last load. What an action is belongs to `integrations/outbox/`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
from dlt.common.schema.typing import TTableSchemaColumns

from integrations.config import IntegrationSettings
from integrations.outbox import open_outbox

_TEXT: Any = {"data_type": "text"}
_TIME: Any = {"data_type": "timestamp", "timezone": False}
ACTION_COLUMNS: TTableSchemaColumns = {
    "action_key": {"data_type": "text", "nullable": False},
    **{name: _TEXT for name in ("channel", "kind", "source", "call_id", "destination")},
    "payload": {"data_type": "json"},
    "status": _TEXT,
    "attempts": {"data_type": "bigint"},
    "external_id": _TEXT,
    "last_error": _TEXT,
    **{
        name: _TIME
        for name in ("due_at", "next_attempt_at", "created_at", "updated_at", "sent_at", "loaded_at")
    },
}


@dlt.source(name="outbox", max_table_nesting=0)
def outbox(settings: IntegrationSettings) -> Any:
    """Actions changed since the last load, one row each, as they stand now."""

    @dlt.resource(
        name="outbox_actions",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        primary_key="action_key",
        columns=ACTION_COLUMNS,
    )
    def outbox_actions() -> Iterator[list[dict[str, Any]]]:
        state = dlt.current.resource_state()
        loaded_at = datetime.now(UTC).replace(tzinfo=None)
        ledger = open_outbox(settings.outbox_url)
        for batch in ledger.actions_changed_since(state.get("cursor")):
            state["cursor"] = batch.cursor
            yield [{**row, "loaded_at": loaded_at} for row in batch.rows]

    return outbox_actions
