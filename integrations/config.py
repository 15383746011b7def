"""Every setting of the integrations: those that all channels share, and each channel's own from its folder.

The one class that is read from the environment. Nothing here opens a connection or fails because a secret is missing: a
setting is checked where it is used.
"""

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator

from integrations.crm.config import CrmSettings
from integrations.email.config import EmailSettings
from integrations.hubspot.config import HubSpotSettings
from integrations.slack.config import SlackSettings
from integrations.ticket.config import TicketSettings
from receiver.config import Home

CHANNEL_SETTINGS = {"ticket": "tickets", "email": "emails", "crm": "crm", "slack": "slack"}


class IntegrationSettings(TicketSettings, EmailSettings, CrmSettings, SlackSettings, HubSpotSettings, Home):
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
    pause_base_seconds: float = Field(
        60.0,
        gt=0,
        description="How long a channel stops when its key or address is wrong, in seconds; doubles.",
    )
    pause_cap_seconds: float = Field(900.0, gt=0, description="Longest such stop before one action is tried.")

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

    webhook_url: SecretStr = Field(
        SecretStr(""),
        description="Address of the signed webhook destination; masked, as its path may be a key.",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="Its secrets, whsec_ and base64; two, separated by a comma, while a secret is rotated.",
    )

    http_connect_seconds: float = Field(5.0, gt=0, description="Longest wait for a connection, in seconds.")
    http_read_seconds: float = Field(20.0, gt=0, description="Longest silence of a system asked, in seconds.")
    http_whole_seconds: float = Field(
        60.0, gt=0, description="Longest time one request may take, in seconds."
    )

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
