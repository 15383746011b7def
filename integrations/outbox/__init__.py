"""The outbox: the ledger of actions, and the one function that carries them out.

This is the public face: nothing else of this package may be imported from outside. How a thing looks at its destination
belongs to the channel's folder.
"""

from integrations.outbox.alerts import BadAlerts, alert_channels
from integrations.outbox.attempt import FAIL, SKIP, WAIT, Plan
from integrations.outbox.attention import Attention, AttentionItem, Look
from integrations.outbox.dispatcher import dispatch
from integrations.outbox.engine import OutboxNotWritable
from integrations.outbox.incidents import CIRCUIT, DEAD_ACTIONS, OUTBOX_CHECKS, WAITING
from integrations.outbox.migrate import OutboxTooNew, OutboxTooOld
from integrations.outbox.models import (
    Action,
    Attempt,
    Backlog,
    Changes,
    Count,
    DispatchReport,
    DueAction,
    EnqueueReport,
    Finding,
    Intervention,
    Pause,
    Preview,
    Problem,
    Reconciled,
)
from integrations.outbox.operations import NotPossible
from integrations.outbox.outbox import Outbox, open_outbox
from integrations.outbox.previews import PreviewDestination
from integrations.outbox.queries import STATES, Waiting, WaitReason, state_of
from integrations.outbox.schema import (
    DEAD,
    PREVIEW,
    SENT,
    SKIPPED,
    STATUSES,
    UNSETTLED,
    UPDATABLE,
    SkipReason,
)

__all__ = [
    "CIRCUIT",
    "DEAD",
    "DEAD_ACTIONS",
    "FAIL",
    "OUTBOX_CHECKS",
    "PREVIEW",
    "SENT",
    "SKIP",
    "SKIPPED",
    "STATES",
    "STATUSES",
    "UNSETTLED",
    "UPDATABLE",
    "WAIT",
    "WAITING",
    "Action",
    "Attempt",
    "Attention",
    "AttentionItem",
    "Backlog",
    "BadAlerts",
    "Changes",
    "Count",
    "DispatchReport",
    "DueAction",
    "EnqueueReport",
    "Finding",
    "Intervention",
    "Look",
    "NotPossible",
    "Outbox",
    "OutboxNotWritable",
    "OutboxTooNew",
    "OutboxTooOld",
    "Pause",
    "Plan",
    "Preview",
    "PreviewDestination",
    "Problem",
    "Reconciled",
    "SkipReason",
    "WaitReason",
    "Waiting",
    "alert_channels",
    "dispatch",
    "open_outbox",
    "state_of",
]
