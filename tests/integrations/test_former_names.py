"""Names from before the channel `slack` was called `chat` go on working, and nothing is sent twice."""

from datetime import timedelta
from pathlib import Path

import pytest

from integrations import former_names
from integrations.config import CHANNEL_SETTINGS, IntegrationSettings
from integrations.destinations import Limits, available
from integrations.outbox.alerts import alert_channels
from integrations.routes import configured, destinations, routes

BEFORE = {
    "AFTERCALL_SLACK": "bot, webhook, preview",
    "AFTERCALL_SLACK_ALERT_CHANNEL": "#ops",
    "AFTERCALL_SLACK_MAX_AGE_HOURS": "7",
    "AFTERCALL_WEBHOOK_URL_SLACK": "https://n8n.example/slack",
    "AFTERCALL_ALERTS": "slack",
}


def test_former_settings_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in BEFORE.items():
        monkeypatch.setenv(name, value)
    settings = IntegrationSettings(home=tmp_path)
    assert settings.destinations_of("chat") == ("slack_bot", "slack_webhook", "preview")
    assert settings.chat_alert_channel == "#ops"
    assert settings.max_age_of("chat") == timedelta(hours=7)
    assert settings.webhook_url_chat.get_secret_value() == "https://n8n.example/slack"
    assert alert_channels(settings) == {"chat"}
    assert former_names.in_use(".env") == former_names.SETTINGS


def test_former_settings_are_read_from_the_file_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("AFTERCALL_SLACK=bot\n")
    assert IntegrationSettings(home=tmp_path).destinations_of("chat") == ("slack_bot",)
    assert former_names.in_use(".env") == {"AFTERCALL_SLACK": "AFTERCALL_CHAT"}


def test_the_present_name_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AFTERCALL_SLACK", "bot")
    monkeypatch.setenv("AFTERCALL_CHAT", "teams")
    assert IntegrationSettings(home=tmp_path).destinations_of("chat") == ("teams",)
    assert IntegrationSettings(home=tmp_path, chat="preview").destinations_of("chat") == ("preview",)


def test_every_name_leads_to_one_that_exists() -> None:
    fields = {f"AFTERCALL_{name.upper()}" for name in IntegrationSettings.model_fields}
    assert set(former_names.SETTINGS.values()) <= fields
    assert set(former_names.CHANNELS.values()) <= set(CHANNEL_SETTINGS)
    for channel, renamed in former_names.DESTINATIONS.items():
        assert set(renamed.values()) <= set(available(channel))
        assert not set(renamed) & set(available(channel))


def test_routes_and_limits_by_former_names(tmp_path: Path) -> None:
    (tmp_path / "destinations.toml").write_text(
        "[[route]]\nchannel = 'slack'\nwhen = { slack_channel = '#vip' }\nto = ['bot', 'signed_webhook']\n"
        "[limits.bot]\nper_second = 9\n[limits.slack_webhook]\nper_second = 3\n[limits.webhook]\nper_second = 5\n"
    )
    settings = IntegrationSettings(home=tmp_path)
    known = routes(settings)
    assert destinations("chat", {"slack_channel": "#vip"}, settings, known) == ("slack_bot", "signed_webhook")
    assert destinations("ticket", {}, settings, known) == ("preview",)
    assert configured("chat", settings) == ("preview", "slack_bot", "signed_webhook")
    names = ("slack_bot", "slack_webhook", "webhook", "preview")
    speeds = {name: known.limits_of(name, Limits(per_second=1)).per_second for name in names}
    assert speeds == {"slack_bot": 9, "slack_webhook": 3, "webhook": 5, "preview": 1}
