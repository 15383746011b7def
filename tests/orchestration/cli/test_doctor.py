"""`aftercall doctor` shows every setting and no secret."""

from pathlib import Path

from click.testing import CliRunner
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from integrations.board.config import BoardSettings
from integrations.config import IntegrationSettings
from orchestration.cli import main
from orchestration.config import DagsterSettings
from receiver.sources import SOURCES

CLASSES: tuple[type[BaseSettings], ...] = (
    IntegrationSettings,
    *map(type, IntegrationSettings().parts()),
    BoardSettings,
    DagsterSettings,
)
KEPT_SECRET = {
    f"AFTERCALL_{name.upper()}": f"hush-{name}"
    for settings in CLASSES
    for name, field in settings.model_fields.items()
    if field.annotation is SecretStr
}
OF_SOURCES = {f"AFTERCALL_SECRET_{name.upper()}": f"hush-{name},hush-old-{name}" for name in SOURCES}
OF_APIS = {"AFTERCALL_API_KEY_RETELL": "hush-api-key"}
OUTBOX = {"AFTERCALL_OUTBOX_URL": "postgresql+psycopg://clerk:hush-outbox@127.0.0.1:9/outbox"}


def test_every_setting_is_shown_and_no_secret_is(tmp_path: Path) -> None:
    told = {"AFTERCALL_HOME": str(tmp_path), "AFTERCALL_TICKETS": "zendesk", "AFTERCALL_CHAT": "slack_bot"}
    # wide, so that nothing is hidden by a line's end
    environment = {**KEPT_SECRET, **OF_SOURCES, **OF_APIS, **OUTBOX, **told, "COLUMNS": "1000"}
    output = CliRunner().invoke(main, ["doctor"], env=environment).output
    assert len(KEPT_SECRET) > 15
    assert all(name in output for name in (*KEPT_SECRET, *OUTBOX, *told))
    assert "atoms: **********" in output
    assert "retell: **********" in output
    assert "AFTERCALL_TICKETS" in output
    assert "zendesk" in output
    assert "hush" not in output


def test_former_names_are_shown_with_what_to_write_instead(tmp_path: Path) -> None:
    former = {"AFTERCALL_SLACK": "bot,webhook", "AFTERCALL_SLACK_ALERT_CHANNEL": "#ops"}
    environment = {**former, "AFTERCALL_HOME": str(tmp_path), "COLUMNS": "1000"}
    output = CliRunner().invoke(main, ["doctor"], env=environment).output
    assert "old  AFTERCALL_SLACK still works: write AFTERCALL_CHAT=slack_bot,slack_webhook" in output
    assert "old  AFTERCALL_SLACK_ALERT_CHANNEL still works: write AFTERCALL_CHAT_ALERT_CHANNEL" in output
