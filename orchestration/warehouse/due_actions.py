"""From the `sync_*` tables to the outbox: read what is due, close the warehouse, hand it over.

No decision is taken here (they are dbt models) and nothing is sent (that is `integrations.outbox.dispatch`).
"""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from integrations.config import IntegrationSettings
from integrations.outbox import DueAction, EnqueueReport, Outbox, SkipReason
from integrations.routes import routes
from orchestration.config import OrchestrationSettings
from orchestration.warehouse import open_warehouse

SYNC_TABLES = {
    "ticket": ("sync_tickets",),
    "email": ("sync_emails",),
    "crm": ("sync_crm_contacts", "sync_crm_notes", "sync_crm_tasks"),
    "chat": ("sync_slack_messages",),
}
# What routes may ask for and not every sync table says; joined only when a route asks.
_FACTS = ("agent", "vip", "queue", "issue_type", "priority")
_ENVELOPE = (
    "action_key", "channel", "kind", "source", "call_id", "due_at", "skip_reason", "built_at",
    *(f"route_{fact}" for fact in _FACTS),
)  # fmt: skip
_BARE = "select * from sync.{table} as due"
_WITH_FACTS = """
    select
        due.*,
        calls.agent_id as route_agent,
        outcomes.is_vip as route_vip,
        outcomes.queue as route_queue,
        outcomes.issue_type as route_issue_type,
        outcomes.priority as route_priority
    from sync.{table} as due
    left join marts.calls on due.source = calls.source and due.call_id = calls.call_id
    left join marts.call_outcomes as outcomes on due.source = outcomes.source and due.call_id = outcomes.call_id
"""
_BATCH = 2_000


def fill(
    outbox: Outbox,
    channel: str,
    settings: OrchestrationSettings,
    integrations: IntegrationSettings,
    everything: bool = False,
) -> EnqueueReport:
    """Bring the outbox up to date with a channel's `sync_*` tables.

    Reads rows built since the last fill, or all of them with `everything` (the nightly reconciliation).
    """
    report = EnqueueReport()
    wants_facts = routes(integrations).asks_for(*_FACTS)
    for table in SYNC_TABLES[channel]:
        since = None if everything else outbox.watermark(table)
        frame = _due(settings, table, since, _WITH_FACTS if wants_facts else _BARE)
        for rows in _batches(frame):
            report = report + outbox.enqueue(rows, datetime.now(UTC), integrations)
        if len(frame):
            outbox.set_watermark(table, frame["built_at"].max().isoformat())
    return report


def _due(settings: OrchestrationSettings, table: str, since: str | None, query: str) -> pd.DataFrame:
    """Rows built at or after `since` (UTC, ISO 8601); at, since a build may have been cut short."""
    warehouse = open_warehouse(settings)
    with warehouse.reading(), warehouse.connect() as connection:
        return connection.frame(
            f"{query.format(table=table)} where due.built_at >= coalesce(?::timestamp, '-infinity') "
            "order by due.due_at, due.action_key",
            [since],
        )


def _batches(frame: pd.DataFrame) -> Iterator[list[DueAction]]:
    for start in range(0, len(frame), _BATCH):
        records: list[dict[str, Any]] = frame.iloc[start : start + _BATCH].to_dict("records")  # type: ignore[assignment]
        yield [_action({str(name): _plain(value) for name, value in row.items()}) for row in records]


def _action(row: dict[str, Any]) -> DueAction:
    due_at = row["due_at"]
    return DueAction(
        action_key=row["action_key"],
        channel=row["channel"],
        kind=row["kind"],
        source=row["source"],
        call_id=row["call_id"],
        payload={name: _json(value) for name, value in row.items() if name not in _ENVELOPE},
        due_at=due_at.replace(tzinfo=UTC) if due_at is not None else None,
        skip_reason=SkipReason(row["skip_reason"]) if row["skip_reason"] else None,
        facts={fact: row[f"route_{fact}"] for fact in _FACTS if row.get(f"route_{fact}") is not None},
    )


def _plain(value: Any) -> Any:
    """Pandas' and NumPy's ways to say nothing, a number or a moment, as Python's own."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value
