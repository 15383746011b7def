"""The dlt source of the outbox: what became of every action, back into `raw.outbox_actions`.

Reads rows changed since the last load. What an action is belongs to `integrations/outbox/`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dlt

from integrations.config import IntegrationSettings
from integrations.outbox import open_outbox
from orchestration.load.events import later_than
from orchestration.load.tables import columns_for_dlt


@dlt.source(name="outbox", max_table_nesting=0)
def outbox(settings: IntegrationSettings) -> Any:
    """Actions changed since the last load, one row each, as they stand now."""

    @dlt.resource(
        name="outbox_actions",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        primary_key="action_key",
        columns=columns_for_dlt("outbox_actions"),
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
