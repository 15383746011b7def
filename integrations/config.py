"""Settings of the integrations: those that all channels share, and each channel's from its folder.

The settings of one destination stand in the destination's own file, as a subclass of `DestinationSettings`. Nothing
here opens a connection or fails because a secret is missing: a setting is checked where it is used.
"""

import pkgutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator

from integrations import former_names
from integrations.chat.config import ChatSettings
from integrations.crm.config import CrmSettings
from integrations.email.config import EmailSettings
from integrations.errors import DestinationUnavailable
from receiver.config import Home

CHANNEL_SETTINGS = {"ticket": "tickets", "email": "emails", "crm": "crm", "chat": "chat"}


class DestinationSettings(Home):
    """Settings of one destination: a subclass in the destination's file is all it takes to have some.

    Each is `AFTERCALL_` and the field's name, so every field begins with the name of the system. `aftercall doctor`
    prints them, and no error text shows one that is a secret.
    """


Part = TypeVar("Part", bound=DestinationSettings)


class IntegrationSettings(EmailSettings, CrmSettings, ChatSettings, Home):
    """Settings of the outbox and of the channels; each is `AFTERCALL_` and the field's name."""

    _values: dict[str, Any] = PrivateAttr(default_factory=dict)
    _parts: dict[type[DestinationSettings], DestinationSettings] = PrivateAttr(default_factory=dict)

    def __init__(self, **values: Any) -> None:
        """Settings from the environment; values given here win, also those of destinations."""
        super().__init__(**values)
        self._values.update(values)

    def of(self, kind: type[Part]) -> Part:
        """The settings of a destination. Raises DestinationUnavailable if one has a value that it cannot have."""
        if kind not in self._parts:
            given = {name: value for name, value in self._values.items() if name in kind.model_fields}
            try:
                self._parts[kind] = kind(**(given | {"home": self.home}))
            except ValidationError as error:
                wrong = error.errors()[0]
                name = "_".join(map(str, wrong["loc"])).upper()
                raise DestinationUnavailable(f"set AFTERCALL_{name} anew: {wrong['msg']}") from None
        return cast(Part, self._parts[kind])

    def parts(self) -> Iterator[DestinationSettings]:
        """The settings of every destination, without those that have an impossible value."""
        _import_destinations()
        for kind in DestinationSettings.__subclasses__():
            # A destination that cannot be opened has used no secret.
            with suppress(DestinationUnavailable):
                yield self.of(kind)

    outbox_url: str = Field(
        default="",
        repr=False,
        description="SQLAlchemy URL of the outbox (SQLite or Postgres); default: outbox.sqlite in the home.",
    )
    tickets: str = Field(
        "preview",
        description="Destinations of tickets, comma separated: file names in integrations/ticket/.",
    )
    emails: str = Field("preview", description="Destinations of e-mail: file names in integrations/email/.")
    crm: str = Field("preview", description="Destinations of CRM records: file names in integrations/crm/.")
    board_url: str = Field(
        "",
        description="Address under which people open the board, for buttons in messages and links in tickets; empty: "
        "none.",
    )
    destinations_file: Path | None = Field(
        None, description="Routes and limits (TOML); default: destinations.toml in the home, if there is one."
    )

    retry_base_seconds: float = Field(
        10.0, gt=0, description="Longest wait before the second attempt, in seconds."
    )
    retry_cap_seconds: float = Field(
        3600.0, gt=0, description="Longest wait between two attempts, in seconds."
    )
    retry_max_attempts: int = Field(
        15, ge=1, description="Failed attempts in a row after which an action is dead."
    )
    pause_base_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds that a destination first stops; the wait doubles with each failed probe.",
    )
    pause_cap_seconds: float = Field(
        900.0, gt=0, description="Longest wait of a stopped destination before the next probe, in seconds."
    )
    stop_after_refusals: int = Field(
        10, ge=1, description="Refused actions in a row after which a destination stops."
    )
    stop_after_unreachable: int = Field(
        5, ge=1, description="Failures of the system in a row after which a destination stops."
    )

    outbox_lease_seconds: float = Field(
        600.0,
        gt=0,
        description="How long a dispatcher holds the actions that it claims in an outbox on Postgres; never less than "
        "the longest try of one may take.",
    )

    email_most_per_address_day: int = Field(
        30, ge=0, description="Most mails that become due to one address within a day; 0: no limit."
    )
    email_most_per_domain_day: int = Field(
        500,
        ge=0,
        description="Most mails that become due to one domain within a day, except free-mail providers; 0: no limit.",
    )
    email_most_per_hour: int = Field(
        1000, ge=0, description="Most mails to customers that become due within an hour; 0: no limit."
    )

    alerts: str = Field(
        "chat", description="Where alerts go: chat, email, or both, comma separated; off: nowhere."
    )
    alert_email: str = Field("", description="E-mail address that receives alerts.")
    alert_waiting_minutes: float = Field(
        30.0, gt=0, description="Minutes after which a due action raises an alert."
    )
    alert_look_minutes: float = Field(
        5.0,
        ge=0,
        description="Minutes without a look for problems after which that is a problem itself; 0: never. "
        "Dagster's daemon looks every minute, aftercall run after each pass.",
    )
    alert_silence_calls: int = Field(
        5,
        ge=0,
        description="Usual calls per hour from which on an hour without events raises an alert; 0: never.",
    )

    email_max_age_hours: float = Field(
        24.0, gt=0, description="Age at which a new e-mail is too old to be sent."
    )
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
        description="Address of the signed webhook; masked, because its path may be a key.",
    )
    webhook_url_ticket: SecretStr = Field(SecretStr(""), description="Address for tickets, if it is another.")
    webhook_url_email: SecretStr = Field(SecretStr(""), description="Address for e-mails, if it is another.")
    webhook_url_crm: SecretStr = Field(
        SecretStr(""), description="Address for CRM records, if it is another."
    )
    webhook_url_chat: SecretStr = Field(
        SecretStr(""),
        validation_alias=former_names.either("webhook_url_chat"),
        description="Address for chat messages, if it is another. Formerly AFTERCALL_WEBHOOK_URL_SLACK.",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret of the signed webhook, whsec_ and base64; two, separated by a comma, while you rotate it.",
    )

    http_connect_seconds: float = Field(5.0, gt=0, description="Longest wait for a connection, in seconds.")
    http_read_seconds: float = Field(
        20.0, gt=0, description="Longest wait between two bytes of an answer, in seconds."
    )
    http_whole_seconds: float = Field(
        60.0, gt=0, description="Longest time one request may take, in seconds."
    )

    @model_validator(mode="after")
    def _outbox_in_home(self) -> Self:
        # The default depends on another field; the class is frozen, hence the way around.
        object.__setattr__(self, "outbox_url", self.outbox_url or f"sqlite:///{self.outbox}")
        return self

    def destinations_of(self, channel: str) -> tuple[str, ...]:
        """Names of the destinations configured for a channel; ValueError for a channel that does not exist."""
        names = (name.strip() for name in str(getattr(self, _setting(channel))).split(","))
        return tuple(dict.fromkeys(former_names.destination(channel, name) for name in names))

    def max_age_of(self, channel: str) -> timedelta:
        """Age limit of a channel (RULES: 24 hours for email and chat, 30 days for ticket and crm)."""
        _setting(channel)
        return timedelta(hours=getattr(self, f"{channel}_max_age_hours"))


@cache
def _import_destinations() -> None:
    """Import every destination's file: only then are its settings known."""
    for channel in CHANNEL_SETTINGS:
        package = import_module(f"integrations.{channel}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            # A destination whose client library is not installed has used no secret.
            with suppress(ImportError):
                import_module(module.name)


def needed(secret: SecretStr, remedy: str) -> str:
    """A secret in plain text. Raises DestinationUnavailable, which says what to do, if there is none."""
    value = secret.get_secret_value().strip()
    if not value:
        raise DestinationUnavailable(remedy)
    return value


def _setting(channel: str) -> str:
    if channel not in CHANNEL_SETTINGS:
        raise ValueError(f"there is no channel {channel!r}; the channels are {', '.join(CHANNEL_SETTINGS)}")
    return CHANNEL_SETTINGS[channel]
