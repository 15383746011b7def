"""Settings: where the outbox is, and what the channels may do."""

import gc
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from integrations.config import DestinationSettings, IntegrationSettings
from integrations.destinations import CHANNELS, available
from integrations.errors import DestinationUnavailable, redact
from receiver.config import Home


def test_the_defaults(tmp_path: Path) -> None:
    settings = IntegrationSettings(home=tmp_path)
    assert settings.outbox_url == f"sqlite:///{tmp_path}/outbox.sqlite"
    assert {settings.destinations_of(channel) for channel in CHANNELS} == {("preview",)}
    assert settings.max_age_of("email") == settings.max_age_of("chat") == timedelta(hours=24)
    assert settings.max_age_of("ticket") == settings.max_age_of("crm") == timedelta(days=30)
    assert not settings.ignore_action_age


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_TICKETS", "elsewhere")
    monkeypatch.setenv("AFTERCALL_IGNORE_ACTION_AGE", "1")
    monkeypatch.setenv("AFTERCALL_OUTBOX_URL", "postgresql://ada:pass@host/db")
    settings = IntegrationSettings()
    assert settings.destinations_of("ticket") == ("elsewhere",)
    assert settings.ignore_action_age
    assert settings.outbox_url == "postgresql://ada:pass@host/db"
    assert "ada:pass" not in repr(settings)


def test_every_field_is_described() -> None:
    assert all(field.description for field in IntegrationSettings.model_fields.values())


def test_every_channel_has_a_preview() -> None:
    assert {channel: "preview" in available(channel) for channel in CHANNELS} == dict.fromkeys(CHANNELS, True)


def test_no_helper_of_a_channel_counts_as_a_destination() -> None:
    assert {channel: available(channel) for channel in CHANNELS} == {
        "ticket": ("hubspot", "jira", "preview", "redmine", "webhook", "zendesk"),
        "email": ("preview", "sendgrid", "smtp", "webhook"),
        "crm": ("hubspot", "preview", "salesforce", "tryton", "webhook"),
        "chat": ("preview", "signed_webhook", "slack_bot", "slack_webhook", "teams"),
    }


def test_a_destinations_own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class DeskSettings(DestinationSettings):
        """Of a destination that this test brings."""

        desk_token: SecretStr = Field(SecretStr(""), description="x")
        desk_port: int = Field(1, description="x")

    monkeypatch.setenv("AFTERCALL_DESK_TOKEN", "hush-token")
    settings = IntegrationSettings(home=tmp_path, desk_port=7)
    own = settings.of(DeskSettings)
    assert (own.desk_token.get_secret_value(), own.desk_port, own.home) == ("hush-token", 7, tmp_path)
    assert settings.of(DeskSettings) is own
    assert redact("401: hush-token", settings) == "401: ***"
    monkeypatch.setenv("AFTERCALL_DESK_PORT", "many")
    broken = IntegrationSettings(home=tmp_path)
    with pytest.raises(
        DestinationUnavailable, match="set AFTERCALL_DESK_PORT anew: Input should be a valid integer"
    ):
        broken.of(DeskSettings)
    assert redact("401: other", broken) == "401: other"
    del DeskSettings
    gc.collect()


def test_every_setting_of_a_destination_is_described_and_its_own() -> None:
    shared = set(IntegrationSettings.model_fields)
    names = [name for part in DestinationSettings.__subclasses__() for name in part.model_fields]
    own = [name for name in names if name not in Home.model_fields]
    assert len(own) == len(set(own)) > 30
    assert not set(own) & shared
    assert all(
        part.model_fields[name].description
        for part in DestinationSettings.__subclasses__()
        for name in part.model_fields
    )
