"""Every setting of the integrations, read from the environment in this one place.

Nothing here opens a connection or fails because a secret is missing: a setting is checked where it is used.
"""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from receiver.config import Home

CHANNEL_SETTINGS = {"ticket": "tickets", "email": "emails", "crm": "crm", "slack": "slack"}


class IntegrationSettings(Home):
    """Settings of the outbox and of the systems behind it; each is `AFTERCALL_` and the field's name."""

    outbox_url: str = Field(
        default="",
        repr=False,
        description="SQLAlchemy URL of the outbox (SQLite or Postgres); default: outbox.sqlite in the home.",
    )
    tickets: str = Field(
        "preview", description="Destination of tickets: a file name in integrations/ticket/."
    )
    emails: str = Field("preview", description="Destination of e-mail: a file name in integrations/email/.")
    crm: str = Field("preview", description="Destination of CRM records: a file name in integrations/crm/.")
    slack: str = Field(
        "preview", description="Destination of Slack messages: a file name in integrations/slack/."
    )

    retry_base_seconds: float = Field(
        10.0, gt=0, description="Longest wait before the second try, in seconds."
    )
    retry_cap_seconds: float = Field(3600.0, gt=0, description="Longest wait between two tries, in seconds.")
    retry_max_attempts: int = Field(
        15, ge=1, description="Failed tries in a row after which an action is dead."
    )

    email_max_age_hours: float = Field(
        24.0, gt=0, description="Age at which a new e-mail is too old to be sent."
    )
    slack_max_age_hours: float = Field(24.0, gt=0, description="Age at which a new Slack message is too old.")
    ticket_max_age_hours: float = Field(
        720.0, gt=0, description="Age at which a new ticket is too old (30 days)."
    )
    crm_max_age_hours: float = Field(
        720.0, gt=0, description="Age at which a new CRM record is too old (30 days)."
    )
    ignore_action_age: bool = Field(
        False, description="1: send actions of any age (replays of test traffic)."
    )

    email_from_address: str = Field("support@example.com", description="Sender's address of every e-mail.")
    email_from_name: str = Field(
        "Customer Support", description="Sender's name, and the signature of every e-mail."
    )
    email_reply_to: str | None = Field(None, description="Where answers go, if not to the sender.")
    slack_alert_channel: str = Field("#alerts", description="Slack channel of alerts about aftercall itself.")

    @model_validator(mode="after")
    def _outbox_in_home(self) -> Self:
        # The default depends on another field; the class is frozen, hence the way around.
        object.__setattr__(self, "outbox_url", self.outbox_url or f"sqlite:///{self.outbox}")
        return self

    def destination_of(self, channel: str) -> str:
        """Name of the destination configured for a channel; ValueError for a channel that does not exist."""
        return str(getattr(self, _setting(channel)))

    def max_age_of(self, channel: str) -> timedelta:
        """Age limit of a channel (RULES: 24 hours for email and slack, 30 days for ticket and crm)."""
        _setting(channel)
        return timedelta(hours=getattr(self, f"{channel}_max_age_hours"))


def _setting(channel: str) -> str:
    if channel not in CHANNEL_SETTINGS:
        raise ValueError(f"there is no channel {channel!r}; the channels are {', '.join(CHANNEL_SETTINGS)}")
    return CHANNEL_SETTINGS[channel]
