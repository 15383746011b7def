"""Settings of the receiver, and where all state lives.

Only this module of the receiver reads the environment (and `.env`). Every setting has the prefix `AFTERCALL_`.
It parses values and derives paths from them; other behaviour does not belong here.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from receiver.networks import Network, is_loopback, networks
from receiver.sources import SOURCES

ENV_FILE = ".env"
SECRET_PREFIX = "AFTERCALL_SECRET_"  # noqa: S105 - the name of a setting, not a secret
ALLOW_FROM_PREFIX = "AFTERCALL_ALLOW_FROM_"


def split_bind(bind: str) -> tuple[str, int]:
    """`host:port` (IPv6 in brackets) as a pair. Raises ValueError when it is not one."""
    host, separator, port = bind.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{bind!r} is not host:port; write for example 127.0.0.1:8080 or [::1]:8080")
    return host, int(port)


def _checked_bind(value: str) -> str:
    split_bind(value)
    return value


def _checked_networks(value: str) -> str:
    networks(value)
    return value


Bind = Annotated[str, AfterValidator(_checked_bind)]
"""An address to listen on, as `split_bind` reads it."""
Networks = Annotated[str, AfterValidator(_checked_networks)]
"""Networks, as `receiver.networks.networks` reads them."""


class Home(BaseSettings):
    """The one directory that holds all state, and the paths inside it."""

    model_config = SettingsConfigDict(
        env_prefix="AFTERCALL_", env_file=ENV_FILE, env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    home: Path = Field(
        default=Path(".aftercall"),
        description="directory of all state; a relative path starts at the working directory",
    )

    landing_url: str = Field(
        default="",
        repr=False,
        description="where every accepted body is kept, file:///path/to/folder; default: the folder landing in the "
        "home",
    )

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _default_is_absolute_too(self) -> Self:
        # pydantic does not validate defaults, and a relative path would change its meaning with a later chdir
        object.__setattr__(self, "home", self.home.expanduser().absolute())
        return self

    @property
    def landing(self) -> str:
        """URL of the landing store."""
        return self.landing_url or (self.home / "landing").as_uri()

    @property
    def outbox(self) -> Path:
        """The SQLite ledger of actions."""
        return self.home / "outbox.sqlite"

    @property
    def dagster(self) -> Path:
        """Dagster's instance directory."""
        return self.home / "dagster"

    @property
    def dlt(self) -> Path:
        """Pipelines of dlt and their state."""
        return self.home / "dlt"


class Listening(Home):
    """Settings of a process that listens on an address; `bind_setting` is the field that holds it."""

    bind_setting: ClassVar[str]

    @property
    def host(self) -> str:
        """Host part of the bind address, without brackets."""
        return split_bind(getattr(self, self.bind_setting))[0]

    @property
    def port(self) -> int:
        """Port part of the bind address."""
        return split_bind(getattr(self, self.bind_setting))[1]


def secrets_from_environment() -> dict[str, tuple[SecretStr, ...]]:
    """The secrets in `AFTERCALL_SECRET_<SOURCE>` by lower-case source, from the environment, else from `.env`.

    A value may hold several secrets separated by commas. All are accepted, so that a secret can be rotated.
    """
    secrets = {
        source: tuple(SecretStr(part.strip()) for part in value.split(",") if part.strip())
        for source, value in by_source(SECRET_PREFIX).items()
    }
    return {source: parts for source, parts in secrets.items() if parts}


def allow_from_environment() -> dict[str, str]:
    """The values of `AFTERCALL_ALLOW_FROM_<SOURCE>` by lower-case source."""
    return by_source(ALLOW_FROM_PREFIX)


def by_source(prefix: str) -> dict[str, str]:
    """The settings with a prefix, by lower-case source. The environment wins over `.env`; empty is unset."""
    settings: dict[str, str | None] = {**dotenv_values(ENV_FILE), **os.environ}
    return {
        name[len(prefix) :].lower(): value
        for name, value in settings.items()
        if name.upper().startswith(prefix) and value and value.strip()
    }


def _checked_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{value!r} is not an address; write for example https://hooks.example.com")
    _ = parts.port  # raises ValueError for what is none
    return value


def setting_name(source: str) -> str:
    """A source's name as part of a setting's name."""
    return source.lower().replace("-", "_")


class ReceiverSettings(Listening):
    """Settings of the HTTP receiver and its landing store."""

    bind_setting: ClassVar = "receiver_bind"

    receiver_bind: Bind = Field(
        default="127.0.0.1:8080", description="host:port that the receiver listens on"
    )
    receiver_public_url: str = Field(
        default="",
        description="address at which platforms reach the receiver, for example https://hooks.example.com; sources "
        "that sign the address, Twilio, are refused without it; no header of a request changes it",
    )
    receiver_max_body_bytes: int = Field(
        default=5 << 20, ge=1, description="largest body accepted, in bytes; a larger one is answered 413"
    )
    receiver_workers: int = Field(
        default=1, ge=1, le=64, description="receiver processes; each writes landing segments of its own"
    )
    receiver_queue: int = Field(
        default=512,
        ge=1,
        le=65536,
        description="requests that wait for the disk in each process; more are answered 503 at once",
    )
    receiver_queue_bytes: int = Field(
        default=256 << 20,
        ge=1,
        description="bytes of bodies over 64 KiB that each process reads at once; more are answered 503",
    )
    receiver_body_seconds: float = Field(
        default=10.0, gt=0, description="seconds that a body may take to arrive; then it is answered 408"
    )
    receiver_commit_seconds: float = Field(
        default=10.0,
        gt=0,
        description="seconds that the disk may take; after that, waiting requests are answered 503",
    )
    receiver_grace_seconds: int = Field(
        default=5, ge=1, le=600, description="seconds that requests in hand may take after SIGTERM"
    )
    receiver_worker_hours: float = Field(
        default=0, ge=0, description="hours after which a new process replaces an old one; 0: never"
    )
    receiver_allow_unsigned: bool = Field(
        default=False,
        description="1: accept events of sources without a secret from anybody",
    )
    receiver_unproven_bytes: int = Field(
        default=256 << 10,
        ge=1,
        description="largest body, in bytes, of a source whose body must be parsed before its signature can be "
        "checked (Synthflow, Twilio); a larger one is answered 413",
    )
    receiver_repeats: int = Field(
        default=10,
        ge=0,
        description="times that each process writes one event to the landing store; a further repeat is answered "
        "200 and counted only; 0 writes every one",
    )
    landing_segment_bytes: int = Field(
        default=64 << 20,
        ge=1,
        description="size in bytes at which the receiver closes a landing segment and starts the next",
    )
    landing_min_free_bytes: int = Field(
        default=512 << 20,
        ge=0,
        description="bytes of the landing disk that stay free for loading and housekeeping; events that would need "
        "them are answered 503",
    )
    secrets: Mapping[str, tuple[SecretStr, ...]] = Field(
        default_factory=secrets_from_environment,
        description="signing secrets by source, from AFTERCALL_SECRET_<SOURCE>; comma separated for rotation",
    )
    allow_from: Mapping[str, str] = Field(
        default_factory=allow_from_environment,
        description="networks that may send, by source, from AFTERCALL_ALLOW_FROM_<SOURCE>: addresses and CIDR "
        "blocks, comma separated; a source without one may be sent from anywhere",
    )
    trusted_proxies: Networks = Field(
        default="",
        description="addresses and CIDR blocks of the proxies in front, comma separated, whose "
        "X-Forwarded-For is believed",
    )

    @field_validator("receiver_worker_hours")
    @classmethod
    def _workers_live_a_minute(cls, value: float) -> float:
        if 0 < value < 1 / 60:
            raise ValueError("a worker process lives at least a minute: 0.017 hours, or 0 for ever")
        return value

    @field_validator("receiver_public_url")
    @classmethod
    def _public_url_is_an_address(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        return value if not value else _checked_address(value)

    @field_validator("allow_from", mode="after")
    @classmethod
    def _allowed_are_networks_of_known_sources(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        # a misspelled name would leave the intended source open to everybody
        known = {setting_name(name) for name in SOURCES}
        for source, listed in value.items():
            if source not in known:
                setting = f"{ALLOW_FROM_PREFIX}{source.upper()}"
                raise ValueError(f"{setting} names no source; known are {', '.join(sorted(known))}")
            if not networks(listed):
                raise ValueError(f"{ALLOW_FROM_PREFIX}{source.upper()} holds no network")
        return value

    @field_validator("secrets", "allow_from", mode="before")
    @classmethod
    def _sources_in_lower_case(cls, value: Any) -> Any:
        return {str(k).lower(): v for k, v in value.items()} if isinstance(value, Mapping) else value

    @property
    def metrics(self) -> Path:
        """The folder for the counters of this receiver's processes; emptied at each start.

        In memory if possible: the files are mapped, and a full disk would kill the process that counts.
        """
        memory = Path("/dev/shm")  # noqa: S108 - the name is this installation's own, and so is the folder
        if not os.access(memory, os.W_OK):
            return self.home / "metrics" / str(self.port)
        installation = hashlib.sha256(f"{os.getuid()} {self.home} {self.port}".encode()).hexdigest()[:16]
        return memory / f"aftercall-{installation}"

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach the receiver, as far as the settings show.

        A proxy connects from loopback and may add no header. So a secret, a public address or a named proxy counts as
        a sign that platforms reach the receiver through one.
        """
        is_deployed = self.trusted_proxies.strip() or self.receiver_public_url or any(self.secrets.values())
        return is_loopback(self.host) and not is_deployed

    def address_of(self, source: str) -> str | None:
        """The public address of a source; None if `receiver_public_url` is not set."""
        return f"{self.receiver_public_url}/webhooks/{source}" if self.receiver_public_url else None

    def secrets_for(self, source: str) -> tuple[str, ...]:
        """The signing secrets of a source, in plain text; empty when none is configured."""
        return tuple(secret.get_secret_value() for secret in self.secrets.get(setting_name(source), ()))

    def networks_for(self, source: str) -> tuple[Network, ...]:
        """The networks that may send a source's events; empty when all may."""
        return networks(self.allow_from.get(setting_name(source), ""))
