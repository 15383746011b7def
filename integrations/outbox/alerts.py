"""Alerts about aftercall itself: a Slack action, retried and recorded like any other."""

from datetime import datetime
from typing import TYPE_CHECKING

from integrations.config import IntegrationSettings
from integrations.outbox.records import DueAction

if TYPE_CHECKING:
    from integrations.outbox.outbox import Outbox


def alert(
    outbox: "Outbox",
    key: str,
    headline: str,
    settings: IntegrationSettings,
    now: datetime,
    *,
    summary: str = "",
    action_needed: str = "",
) -> str:
    """Record a `pipeline_alert` for the alert channel; once sent, the same key again adds nothing.

    Args:
        outbox: the ledger.
        key: what the alert is about, for instance `run:<run id>`.
        headline: one line.
        settings: the Slack channel, and the destination.
        now: when it happened, UTC.
        summary: what went wrong.
        action_needed: what a person should do.

    Returns:
        The action's key, `pipeline_alert:<key>`.
    """
    due = alert_action(key, headline, settings, now, summary=summary, action_needed=action_needed)
    outbox.fill([due], now, settings)
    return due.action_key


def alert_action(
    key: str,
    headline: str,
    settings: IntegrationSettings,
    now: datetime,
    *,
    summary: str = "",
    action_needed: str = "",
) -> DueAction:
    """The action of an alert, for who writes to the outbox in a transaction of its own."""
    payload = {
        "slack_channel": settings.slack_alert_channel,
        "headline": headline,
        "summary": summary,
        "action_needed": action_needed,
    }
    return DueAction(f"pipeline_alert:{key}", "slack", "pipeline_alert", None, None, payload, due_at=now)
