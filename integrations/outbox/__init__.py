"""The outbox: the ledger of actions, and the one function that carries them out.

Public names only. How a thing looks at its destination belongs to the channel's folder.
"""

from datetime import datetime

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Destination
from integrations.outbox import dispatcher
from integrations.outbox.alerts import BadAlerts, alert
from integrations.outbox.attention import Attention, AttentionItem, needs_attention, why_waiting
from integrations.outbox.engine import OutboxNotWritable
from integrations.outbox.migrate import OutboxTooNew
from integrations.outbox.models import (
    Action,
    Attempt,
    Backlog,
    Changes,
    Count,
    DispatchReport,
    DueAction,
    FillReport,
    Finding,
    Intervention,
    Pause,
    Preview,
    Problem,
)
from integrations.outbox.operations import NotPossible
from integrations.outbox.outbox import Outbox, open_outbox


def dispatch(
    outbox: Outbox,
    channel: str,
    settings: IntegrationSettings,
    *,
    now: datetime | None = None,
    limit: int | None = None,
    destination: Destination | None = None,
) -> DispatchReport:
    """Try every action of a channel that is due, each once; see `dispatching.dispatch`."""
    return dispatcher.dispatch(
        outbox.engine, channel, settings, now=now, limit=limit, destination=destination
    )


__all__ = [
    "Action",
    "Attempt",
    "Attention",
    "AttentionItem",
    "Backlog",
    "BadAlerts",
    "Changes",
    "Count",
    "Delivery",
    "DispatchReport",
    "DueAction",
    "FillReport",
    "Finding",
    "Intervention",
    "NotPossible",
    "Outbox",
    "OutboxNotWritable",
    "OutboxTooNew",
    "Pause",
    "Preview",
    "Problem",
    "alert",
    "dispatch",
    "needs_attention",
    "open_outbox",
    "why_waiting",
]
