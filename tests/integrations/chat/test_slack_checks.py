"""What a harmless look at Slack finds out, before the first message."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Limits, SupportsCheck, open_destination
from tests.integrations import servers
from tests.integrations.servers import Answer, Request, System, says

TOKEN = "xoxb-1234567890-abcdef"
SCOPES = "chat:write, channels:read,channels:history"


@pytest.fixture
def system() -> Iterator[System]:
    with servers.running() as started:
        yield started


def looked(settings: IntegrationSettings) -> dict[str, tuple[bool, str]]:
    target = open_destination("chat", settings)
    assert isinstance(target, SupportsCheck)
    assert target.limits == Limits(1, 1.0)  # type: ignore[attr-defined]
    return {result.name: (result.is_fine, result.message) for result in target.check()}


def bot(system: System, tmp_path: Path, scopes: str, **changes: Any) -> dict[str, tuple[bool, str]]:
    def answer(request: Request) -> Answer:
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return says(200, {"ok": False, "error": "invalid_auth"})
        methods: dict[str, dict[str, Any]] = {
            "auth.test": {"user": "aftercall", "team": "Shop"},
            "conversations.list": {"channels": [{"name": "alerts", "id": "C2"}]},
            "conversations.history": {"messages": []},
        }
        fields = methods[request.path.rpartition("/")[2]]
        return says(200, {"ok": True, **fields}, {"X-OAuth-Scopes": scopes})

    system.always = answer
    ours: dict[str, Any] = {
        "chat": "slack_bot",
        "slack_bot_token": TOKEN,
        "slack_api_url": system.url + "/api",
    }
    return looked(IntegrationSettings(home=tmp_path, **(ours | changes)))


def test_a_bot_that_may_do_all(system: System, tmp_path: Path) -> None:
    results = bot(system, tmp_path, SCOPES)
    assert results == {
        "credentials": (True, "aftercall in Shop"),
        "scopes": (True, "chat:write, channels:read, channels:history"),
        "channel #alerts": (True, "the bot can read it"),
    }
    assert not any("chat.postMessage" in request.path for request in system.requests)


def test_what_a_bot_lacks(system: System, tmp_path: Path) -> None:
    missing = bot(system, tmp_path, "chat:write")
    assert missing["scopes"] == (False, "add channels:read, channels:history to the app")
    assert bot(system, tmp_path, "chat:write", slack_look_first=False)["scopes"][0]
    nowhere = bot(system, tmp_path, SCOPES, chat_alert_channel="#ops")
    assert nowhere["channel #ops"][0] is False
    assert "make the channel" in nowhere["channel #ops"][1]
    wrong = bot(system, tmp_path, SCOPES, slack_bot_token="xoxb-wrong-token")
    assert list(wrong) == ["credentials"]
    assert "AFTERCALL_SLACK_BOT_TOKEN" in wrong["credentials"][1]


@pytest.mark.parametrize(
    ("answer", "is_fine", "words"),
    [
        (says(400, b"no_text"), True, "Slack knows it"),
        (says(400, b"invalid_payload"), True, "Slack knows it"),
        (says(404, b"no_service"), False, "no_service"),
        (says(403, b"invalid_token"), False, "AFTERCALL_SLACK_WEBHOOK_URL"),
        (says(200, b"ok"), False, "not Slack"),
        (servers.reset, False, "the connection failed"),
    ],
)
def test_a_webhook_is_asked_to_post_nothing(
    system: System, tmp_path: Path, answer: Answer, is_fine: bool, words: str
) -> None:
    system.always = lambda request: answer
    settings = IntegrationSettings(
        home=tmp_path, chat="slack_webhook", slack_webhook_url=f"#vip={system.url}/key,{system.url}/rest"
    )
    results = looked(settings)
    assert list(results) == ["webhook for #vip", "webhook for every other channel"]
    assert all(fine is is_fine and words in message for fine, message in results.values()), results
    assert {request.body for request in system.requests} == {b"{}"}
    assert "/key" not in str(results)
