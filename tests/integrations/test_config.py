"""Settings: where the outbox is, and what the channels may do."""

from datetime import timedelta
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS, available


def test_the_defaults(tmp_path: Path) -> None:
    settings = IntegrationSettings(home=tmp_path)
    assert settings.outbox_url == f"sqlite:///{tmp_path}/outbox.sqlite"
    assert {settings.destinations_of(channel) for channel in CHANNELS} == {("preview",)}
    assert settings.max_age_of("email") == settings.max_age_of("slack") == timedelta(hours=24)
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
