"""Settings of the receiver, and where all state lives.

The only module of this floor that reads the environment (and `.env`). Every setting carries the prefix
`AFTERCALL_`. No behaviour belongs here beyond parsing a value and deriving a path from it.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_FILE = ".env"
SECRET_PREFIX = "AFTERCALL_SECRET_"  # noqa: S105 - the name of a setting, not a secret


class Home(BaseSettings):
    """The one directory that holds all state, and the paths inside it."""

    model_config = SettingsConfigDict(
        env_prefix="AFTERCALL_", env_file=ENV_FILE, env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    home: Path = Field(
        default=Path(".aftercall"),
        description="directory of all state; made absolute from the working directory",
    )

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _default_is_absolute_too(self) -> Self:
        # pydantic does not validate defaults, and a relative default would change its meaning with a later
        # chdir
        object.__setattr__(self, "home", self.home.expanduser().absolute())
        return self

    @property
    def landing(self) -> Path:
        """Landing store: every accepted body."""
        return self.home / "landing"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that loads and builds write."""
        return self.home / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """The read-only copy of the marts for BI tools."""
        return self.home / "published" / "marts.duckdb"

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


def secrets_from_environment() -> dict[str, tuple[SecretStr, ...]]:
    """Every `AFTERCALL_SECRET_<SOURCE>` of the environment and `.env`, by lower-case source.

    The environment wins over `.env`. A value may hold several secrets separated by commas: all are
    accepted, so that a secret can be rotated.
    """
    found: dict[str, str | None] = {**dotenv_values(ENV_FILE), **os.environ}
    secrets: dict[str, tuple[SecretStr, ...]] = {}
    for name, value in found.items():
        if name.upper().startswith(SECRET_PREFIX) and value:
            parts = tuple(SecretStr(part.strip()) for part in value.split(",") if part.strip())
            if parts:
                secrets[name[len(SECRET_PREFIX) :].lower()] = parts
    return secrets


def split_bind(bind: str) -> tuple[str, int]:
    """`host:port` (IPv6 in brackets) as a pair. Raises ValueError when it is not one."""
    host, separator, port = bind.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{bind!r} is not host:port; write for example 127.0.0.1:8080 or [::1]:8080")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`; of names, only localhost counts."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class ReceiverSettings(Home):
    """Settings of the HTTP receiver and its landing store."""

    receiver_bind: str = Field(default="127.0.0.1:8080", description="host:port that the receiver listens on")
    receiver_max_body_bytes: int = Field(
        default=5 << 20, ge=1, description="largest body accepted, in bytes; a larger one is answered 413"
    )
    receiver_workers: int = Field(
        default=1, ge=1, le=64, description="receiver processes; each writes landing segments of its own"
    )
    receiver_threads: int = Field(
        default=32, ge=1, le=512, description="requests handled at the same time in each process"
    )
    receiver_allow_unsigned: bool = Field(
        default=False,
        description="accept sources without a secret although other machines can reach the receiver",
    )
    landing_segment_bytes: int = Field(
        default=64 << 20,
        ge=1,
        description="size in bytes at which a landing segment is closed and the next begun",
    )
    landing_min_free_bytes: int = Field(
        default=64 << 20,
        ge=0,
        description="free bytes on the landing disk under which /readyz says not ready",
    )
    secrets: Mapping[str, tuple[SecretStr, ...]] = Field(
        default_factory=secrets_from_environment,
        description="signing secrets by source, from AFTERCALL_SECRET_<SOURCE>; comma separated for rotation",
    )

    @field_validator("receiver_bind")
    @classmethod
    def _bind_is_host_and_port(cls, value: str) -> str:
        split_bind(value)
        return value

    @field_validator("secrets", mode="before")
    @classmethod
    def _sources_in_lower_case(cls, value: Any) -> Any:
        return {str(k).lower(): v for k, v in value.items()} if isinstance(value, Mapping) else value

    @property
    def host(self) -> str:
        """Host part of the bind address, without brackets."""
        return split_bind(self.receiver_bind)[0]

    @property
    def port(self) -> int:
        """Port part of the bind address."""
        return split_bind(self.receiver_bind)[1]

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the receiver."""
        return is_loopback(self.host)

    def secrets_for(self, source: str) -> tuple[str, ...]:
        """The signing secrets of a source, in plain text; empty when none is configured."""
        key = source.lower().replace("-", "_")
        return tuple(secret.get_secret_value() for secret in self.secrets.get(key, ()))
