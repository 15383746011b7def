"""Alerts about aftercall itself: actions like any other, so they are retried, recorded, and sent once a key."""

from datetime import datetime
from typing import TYPE_CHECKING

from integrations import former_names
from integrations.config import IntegrationSettings
from integrations.outbox.models import DueAction

if TYPE_CHECKING:
    from integrations.outbox.outbox import Outbox

KIND = "pipeline_alert"


class BadAlerts(ValueError):
    """The settings of alerts cannot be followed."""


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
    """Record a `pipeline_alert` where alerts go; once sent, the same key again adds nothing.

    Args:
        outbox: the ledger.
        key: what the alert is about, for instance `run:<run id>`.
        headline: one line.
        settings: where alerts go.
        now: when it happened, UTC.
        summary: what went wrong.
        action_needed: what a person should do.

    Returns:
        The key of the chat message, `pipeline_alert:<key>`; a mail's has `:email` at its end.
    """
    outbox.fill(alerts(key, headline, settings, now, summary, action_needed), now, settings)
    return f"{KIND}:{key}"


def alerts(
    key: str, headline: str, settings: IntegrationSettings, now: datetime, summary: str, action_needed: str
) -> list[DueAction]:
    """The actions of an alert, for who writes to the outbox in a transaction of its own."""
    told = {"headline": headline, "summary": summary, "action_needed": action_needed}
    made = []
    ways = ways_of(settings)
    if "chat" in ways:
        payload = {"slack_channel": settings.chat_alert_channel, **told}
        made.append(DueAction(f"{KIND}:{key}", "chat", KIND, None, None, payload, due_at=now))
    if "email" in ways:
        payload = {"template": KIND, "to_address": settings.alert_email, **told}
        made.append(DueAction(f"{KIND}:{key}:email", "email", KIND, None, None, payload, due_at=now))
    return made


def ways_of(settings: IntegrationSettings) -> frozenset[str]:
    """Channels that alerts go to. Raises BadAlerts, naming the setting."""
    names = (former_names.channel(name.strip()) for name in settings.alerts.split(","))
    ways = frozenset(name for name in names if name) - {"off"}
    if not ways <= {"chat", "email"}:
        raise BadAlerts(f"AFTERCALL_ALERTS={settings.alerts!r}: it may be chat, email, chat,email or off")
    if "email" in ways and not settings.alert_email:
        raise BadAlerts("AFTERCALL_ALERTS has email: set AFTERCALL_ALERT_EMAIL to the address that gets them")
    return ways
