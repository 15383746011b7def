"""Settings of the board and of who may see it, each `AFTERCALL_` and the field's name.

No behaviour beyond parsing a value.
"""

from datetime import timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

from receiver.config import Bind, Listening, Networks
from receiver.networks import Network, is_loopback, networks


class Guarded(Listening):
    """Who may see a web page that listens: the board's, and Dagster's."""

    title: ClassVar[str]
    """How messages name the page, at the beginning of a sentence."""
    password_setting: ClassVar[str] = "AFTERCALL_BOARD_PASSWORD"  # noqa: S105 - the name of a setting

    board_password: SecretStr = Field(
        default=SecretStr(""),
        description="password of the board, with any user name; needed to listen beyond this machine",
    )
    board_user_header: str = Field(
        default="",
        description="header in which the reverse proxy in front names the user, for example X-Forwarded-User; "
        "believed from AFTERCALL_TRUSTED_PROXIES, or from this machine if that is empty",
    )
    trusted_proxies: Networks = Field(
        default="", description="addresses and CIDR blocks of the proxies in front, comma separated"
    )

    @property
    def bind(self) -> str:
        """The `host:port` that the page listens on."""
        return str(getattr(self, self.bind_setting))

    @property
    def password(self) -> str:
        """The password in plain text; empty when none is configured."""
        return self.board_password.get_secret_value()

    @property
    def is_open(self) -> bool:
        """Whether neither a password nor a proxy says who is there: the token is asked for, and only on loopback."""
        return not self.password and not self.board_user_header

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        return is_loopback(self.host)

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The addresses from which the user header is believed."""
        return networks(self.trusted_proxies or "127.0.0.0/8, ::1")


class BoardSettings(Guarded):
    """Where the board listens, and how it shows things."""

    bind_setting: ClassVar = "board_bind"
    title: ClassVar = "The board"

    board_bind: Bind = Field(default="127.0.0.1:8081", description="host:port that the board listens on")
    board_mask: bool = Field(
        default=True, description="mask phone numbers and e-mail addresses on the board; 0 shows them"
    )
    board_time_zone: str = Field(
        default="UTC", description="zone in which the board's day begins, for example Europe/Berlin"
    )
    board_no_end_minutes: float = Field(
        default=120.0, gt=0, description="minutes after which a call without an end leaves the board"
    )
    dagster_bind: str = Field(default="127.0.0.1:3000", description="host:port of the Dagster UI")
    receiver_bind: str = Field(default="127.0.0.1:8080", description="host:port that the receiver listens on")

    @field_validator("board_time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is no time zone; write for example Europe/Berlin") from None
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the board's day begins."""
        return ZoneInfo(self.board_time_zone)

    @property
    def no_end_after(self) -> timedelta:
        """How long a call without an end is shown as active."""
        return timedelta(minutes=self.board_no_end_minutes)
