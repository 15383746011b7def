"""Every setting of the integrations, read from the environment in this one place.

Nothing here opens a connection or fails because a secret is missing: a setting is checked where it is used.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

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

    email_from_address: str = Field("support@example.com", description="Sender's address of every e-mail.")
    email_from_name: str = Field(
        "Customer Support", description="Sender's name, and the signature of every e-mail."
    )
    email_reply_to: str | None = Field(None, description="Where answers go, if not to the sender.")
    email_allow_example_domains: bool = Field(
        False,
        description="1: send to and from example.com, .test and .invalid too (a mail server for tests).",
    )
    email_suppression_file: Path | None = Field(
        None,
        description="Addresses and @domains that get no mail, one a line; default: suppressed.txt in the home.",
    )
    email_list_unsubscribe: str = Field(
        "",
        description="List-Unsubscribe: a mailto: or https: address, or both, comma separated; {mail} in it "
        "becomes the mail's own id.",
    )
    smtp_host: str = Field("", description="Mail server of AFTERCALL_EMAILS=smtp.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port: 587 with starttls, 465 with tls.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="starttls, tls (from the first byte) or none; never less than what is said."
    )
    smtp_username: str = Field("", description="Name to log in with; empty: no login.")
    smtp_password: SecretStr = Field(SecretStr(""), description="Password to log in with.")
    smtp_ca_file: Path | None = Field(
        None, description="CA certificates (PEM) to trust instead of the system's."
    )
    smtp_seconds: float = Field(30.0, gt=0, description="Longest silence of the mail server, in seconds.")
    smtp_whole_seconds: float = Field(120.0, gt=0, description="Longest time one mail may take, in seconds.")

    slack_alert_channel: str = Field("#alerts", description="Slack channel of alerts about aftercall itself.")
    slack_webhook_url: SecretStr = Field(
        SecretStr(""),
        description="Incoming webhooks of AFTERCALL_SLACK=webhook, comma separated: #channel=URL, and one URL "
        "alone for every other channel.",
    )
    slack_bot_token: SecretStr = Field(SecretStr(""), description="Token (xoxb-…) of AFTERCALL_SLACK=bot.")
    slack_look_first: bool = Field(
        True,
        description="Look into a channel before posting, so that a crash posts nothing twice; needs "
        "channels:read and channels:history.",
    )
    slack_api_url: str = Field("https://slack.com/api/", description="Slack's API; GovSlack has its own.")

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
