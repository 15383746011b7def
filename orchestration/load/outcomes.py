"""The dlt source of the outbox: what became of every action, back into `raw.outbox_actions`.

Reads rows changed since the last load. What an action is belongs to `integrations/outbox/`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dlt

from integrations.config import IntegrationSettings
from integrations.outbox import open_outbox
from orchestration.load.events import columns_of, later_than

ACTION_COLUMNS = columns_of(
    "action_key",
    channel="text",
    kind="text",
    source="text",
    call_id="text",
    destination="text",
    payload="json",
    status="text",
    attempts="bigint",
    external_id="text",
    last_error="text",
    due_at="timestamp",
    next_attempt_at="timestamp",
    created_at="timestamp",
    updated_at="timestamp",
    sent_at="timestamp",
    loaded_at="timestamp",
)


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
        state["loaded_at"] = later_than(state.get("loaded_at"))
        loaded_at = datetime.fromisoformat(state["loaded_at"]).replace(tzinfo=None)
        ledger = open_outbox(settings.outbox_url)
        for batch in ledger.actions_changed_since(state.get("cursor")):
            state["cursor"] = batch.cursor
            yield [{**row, "loaded_at": loaded_at} for row in batch.rows]

    return outbox_actions
