"""Settings of the recovery; the only module of this folder that reads the environment (and `.env`)."""

from collections.abc import Mapping
from datetime import date

from pydantic import Field, SecretStr

from receiver.config import Home, by_source

KEY_PREFIX = "AFTERCALL_API_KEY_"
URL_PREFIX = "AFTERCALL_API_URL_"
HISTORY = "history"
"""`history/<source>` is the asset whose partitions are the imported days of a source."""


def keys_from_environment() -> dict[str, SecretStr]:
    """Every `AFTERCALL_API_KEY_<SOURCE>` of the environment and `.env`, by lower-case source."""
    return {source: SecretStr(value.strip()) for source, value in by_source(KEY_PREFIX).items()}


def urls_from_environment() -> dict[str, str]:
    """Every `AFTERCALL_API_URL_<SOURCE>` of the environment and `.env`, by lower-case source."""
    return {source: value.strip().rstrip("/") for source, value in by_source(URL_PREFIX).items()}


class RecoverySettings(Home):
    """How the platforms' list APIs are asked for calls whose webhooks were lost."""

    recovery_look_back_hours: int = Field(
        default=48,
        ge=1,
        description="hours before the newest listed call from which a platform lists again",
    )
    recovery_grace_minutes: int = Field(
        default=15,
        ge=0,
        description="minutes after the end of a call in which its webhooks may still come; then it is recovered",
    )
    recovery_requests_per_second: float = Field(
        default=4.0, gt=0, description="most requests per second to one platform's API"
    )
    recovery_attempts: int = Field(
        default=6,
        ge=1,
        le=20,
        description="attempts per request when an API is down or too busy; Retry-After is honoured up to 2 minutes",
    )
    recovery_loss_percent: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="percentage of a day's calls that may lack webhooks before the check warns",
    )
    recovery_history_since: date = Field(
        default=date(2025, 1, 1), description="first day (UTC) that can be imported from the Dagster UI"
    )
    api_keys: Mapping[str, SecretStr] = Field(
        default_factory=keys_from_environment,
        description="keys of the platforms' list APIs by source, from AFTERCALL_API_KEY_<SOURCE>",
    )
    api_urls: Mapping[str, str] = Field(
        default_factory=urls_from_environment,
        description="addresses of the list APIs where they are not the usual ones, from AFTERCALL_API_URL_<SOURCE>",
    )

    def key_of(self, source: str) -> str | None:
        """The API key of a source in plain text, if there is one."""
        key = self.api_keys.get(source)
        return key.get_secret_value() if key is not None else None
