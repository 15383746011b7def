"""Alerts about aftercall itself: actions like any other, so they are retried, recorded, and sent once per key."""

from datetime import datetime

from integrations import former_names
from integrations.config import IntegrationSettings
from integrations.outbox.models import DueAction

KIND = "pipeline_alert"


class BadAlerts(ValueError):
    """The settings of alerts cannot be followed."""


def alerts(
    key: str,
    headline: str,
    settings: IntegrationSettings,
    now: datetime,
    *,
    summary: str = "",
    action_needed: str = "",
) -> list[DueAction]:
    """The actions of an alert, one per channel that alerts go to. Raises BadAlerts.

    Args:
        key: what the alert is about. The message has the key `pipeline_alert:<key>`; a mail's has `:email` at its end.
        headline: one line.
        settings: where alerts go.
        now: when it happened, UTC.
        summary: what went wrong.
        action_needed: what a person should do.
    """
    content = {"headline": headline, "summary": summary, "action_needed": action_needed}
    channels = alert_channels(settings)
    actions = []
    if "chat" in channels:
        payload = {"slack_channel": settings.chat_alert_channel, **content}
        actions.append(DueAction(f"{KIND}:{key}", "chat", KIND, None, None, payload, due_at=now))
    if "email" in channels:
        payload = {"template": KIND, "to_address": settings.alert_email, **content}
        actions.append(DueAction(f"{KIND}:{key}:email", "email", KIND, None, None, payload, due_at=now))
    return actions


def alert_channels(settings: IntegrationSettings) -> frozenset[str]:
    """Channels that alerts go to. Raises BadAlerts, naming the setting."""
    names = (former_names.channel(name.strip()) for name in settings.alerts.split(","))
    ways = frozenset(name for name in names if name) - {"off"}
    if not ways <= {"chat", "email"}:
        raise BadAlerts(f"AFTERCALL_ALERTS={settings.alerts!r}: it may be chat, email, chat,email or off")
    if "email" in ways and not settings.alert_email:
        raise BadAlerts("AFTERCALL_ALERTS has email: set AFTERCALL_ALERT_EMAIL to the address that gets them")
    return ways
