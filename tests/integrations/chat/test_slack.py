"""Both ways to post to Slack, against a loopback server that answers as Slack's reference says."""

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.models.blocks import Block

from integrations.config import IntegrationSettings
from integrations.destinations import Destination, open_destination
from integrations.errors import (
    DestinationUnavailable,
    Forbidden,
    RateLimited,
    Rejected,
    TransientError,
    Unreachable,
)
from integrations.outbox import Outbox, dispatch
from integrations.outbox.models import DueAction
from integrations.slack.errors import NOT_NOW
from tests.integrations import servers
from tests.integrations.chat.workspace import TOKEN, Workspace
from tests.integrations.examples import NOW, delivery, slack
from tests.integrations.servers import Answer, Request, System, says

Settings = Callable[..., IntegrationSettings]


@pytest.fixture
def system() -> Iterator[System]:
    with servers.running() as started:
        yield started


@pytest.fixture
def workspace(system: System) -> Workspace:
    system.always = fake = Workspace()
    return fake


@pytest.fixture
def bot(system: System, tmp_path: Path) -> Settings:
    def make(**changes: Any) -> IntegrationSettings:
        ours: dict[str, Any] = {
            "chat": "slack_bot", "slack_bot_token": TOKEN, "slack_api_url": system.url + "/api",
        }  # fmt: skip
        return IntegrationSettings(home=tmp_path, **(ours | changes))

    return make


@pytest.fixture
def webhook(system: System, tmp_path: Path) -> Settings:
    system.always = lambda request: says(200, b"ok")

    def make(url: str = "", **changes: Any) -> IntegrationSettings:
        ours: dict[str, Any] = {
            "chat": "slack_webhook",
            "slack_webhook_url": url or system.url + "/T0/B0/key",
            "http_read_seconds": 1,
        }
        return IntegrationSettings(home=tmp_path, **(ours | changes))

    return make


def opened(settings: IntegrationSettings) -> Destination:
    return open_destination("chat", settings)


def methods(system: System) -> list[str]:
    return [request.path.rpartition("/")[2] for request in system.requests]


def test_a_bot_posts_what_slacks_own_models_accept(
    system: System, workspace: Workspace, bot: Settings
) -> None:
    hostile = slack(summary="<!channel> " * 2_000, headline="x" * 5_000)
    for row in (slack(), slack(kind="vip_call"), hostile):
        opened(bot()).send(delivery(row), None)
    for posted in workspace.messages:
        parsed = Block.parse_all(posted["blocks"])
        assert len(parsed) == len(posted["blocks"])
        for block in parsed:
            block.validate_json()
    assert system.requests[0].headers["content-type"].startswith("application/json")


def test_later_messages_about_a_call_go_into_its_thread(
    workspace: Workspace, bot: Settings, outbox: Outbox
) -> None:
    settings = bot()
    rows = [
        slack("1", "transfer_requested"), slack("2", "transfer_requested"), slack("1", "unhappy_customer"),
        slack("1", "vip_call", slack_channel="#vip"),
    ]  # fmt: skip
    for row in rows:
        outbox.enqueue([row], NOW, settings)
        assert dispatch(outbox, "chat", settings, now=NOW).sent == 1
    first, other, second, elsewhere = workspace.messages
    assert second["thread_ts"] == first["ts"]
    assert second["channel"] == first["channel"] == "C1"
    assert "thread_ts" not in other
    assert "thread_ts" not in elsewhere
    assert elsewhere["channel"] == "C3"


def test_a_thread_that_somebody_deleted_loses_no_message(
    workspace: Workspace, bot: Settings, outbox: Outbox
) -> None:
    settings = bot()
    outbox.enqueue([slack("1", "transfer_requested")], NOW, settings)
    dispatch(outbox, "chat", settings, now=NOW)
    workspace.messages.clear()
    outbox.enqueue([slack("1", "unhappy_customer")], NOW, settings)
    assert dispatch(outbox, "chat", settings, now=NOW).sent == 1
    assert "thread_ts" not in workspace.messages[0]


@pytest.mark.parametrize("earlier", [[], [slack("1", "unhappy_customer")]])
def test_an_answer_that_was_lost_makes_no_twin(
    system: System, workspace: Workspace, bot: Settings, outbox: Outbox, earlier: list[DueAction]
) -> None:
    settings, row = bot(), slack("1", "transfer_requested")

    def taken_but_lost(request: Request) -> Answer:
        answer = workspace(request)
        return servers.reset if request.path.endswith("chat.postMessage") else answer

    outbox.enqueue(earlier, NOW, settings)
    dispatch(outbox, "chat", settings, now=NOW)
    outbox.enqueue([row], NOW, settings)
    system.always = taken_but_lost
    assert dispatch(outbox, "chat", settings, now=NOW).retrying == 1
    system.always = workspace
    outbox.retry(row.action_key)
    assert dispatch(outbox, "chat", settings, now=NOW).sent == 1
    assert len(workspace.messages) == 1 + len(earlier)
    assert [attempt.outcome for attempt in outbox.attempts(row.action_key)] == ["retrying", "found"]
    action = outbox.action(row.action_key)
    assert action is not None
    assert action.external_id == f"C1:{workspace.messages[-1]['ts']}"


def test_a_channel_is_asked_once_a_pass_and_page_by_page(
    system: System, workspace: Workspace, bot: Settings, outbox: Outbox
) -> None:
    workspace.page = 1
    settings = bot()
    outbox.enqueue([slack(str(number)) for number in range(3)], NOW, settings)
    assert dispatch(outbox, "chat", settings, now=NOW).sent == 3
    counted = {name: methods(system).count(name) for name in set(methods(system))}
    assert counted == {"conversations.list": 1, "conversations.history": 1, "chat.postMessage": 3}
    row = slack("0")
    assert opened(settings).find(delivery(row)) == f"C1:{workspace.messages[0]['ts']}"
    assert methods(system).count("conversations.history") == 1 + 3


def test_without_looking_one_scope_is_enough(system: System, workspace: Workspace, bot: Settings) -> None:
    target = opened(bot(slack_look_first=False))
    assert target.find(delivery(slack())) is None
    target.send(delivery(slack()), None)
    assert methods(system) == ["chat.postMessage"]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            says(200, {"ok": False, "error": "invalid_auth"}),
            DestinationUnavailable,
            "AFTERCALL_SLACK_BOT_TOKEN",
        ),
        (says(200, {"ok": False, "error": "token_revoked"}), DestinationUnavailable, "token_revoked"),
        (
            says(200, {"ok": False, "error": "missing_scope", "needed": "chat:write"}),
            DestinationUnavailable,
            "chat:write",
        ),
        (says(200, {"ok": False, "error": "not_in_channel"}), TransientError, "invite the bot"),
        *((says(200, {"ok": False, "error": code}), Unreachable, code) for code in sorted(NOT_NOW)),
        (says(500, {"ok": False, "error": "internal_error"}), Unreachable, "internal_error"),
        (says(503, {"ok": False, "error": "service_unavailable"}), Unreachable, "service_unavailable"),
        (servers.html(500), Unreachable, "500"),
        (says(408), Unreachable, "408"),
        (says(200, {"ok": False, "error": "invalid_blocks"}), Rejected, "invalid_blocks"),
        (says(200, {"ok": False, "error": "msg_too_long"}), Rejected, "msg_too_long"),
        (says(200, {"ok": False, "error": "ratelimited"}, {"Retry-After": "9"}), RateLimited, "ratelimited"),
        (says(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "9"}), RateLimited, "429"),
        (
            says(302, b"", {"Location": "http://127.0.0.1:1/"}),
            DestinationUnavailable,
            "302.*AFTERCALL_SLACK_API_URL",
        ),
        (says(200, {"ok": True}), Unreachable, "not which message"),
        (says(200, {}), Unreachable, "200"),
        (says(200, b'{"ok": tr'), Unreachable, "200"),
        (servers.html(200), Unreachable, "200"),
        (servers.html(502), Unreachable, "502"),
        (servers.html(403), Forbidden, "403"),
        (servers.endless, Unreachable, "more than 4 MiB"),
        (servers.reset, Unreachable, "the connection failed"),
        (servers.cut_off, Unreachable, "the connection failed"),
        (servers.hang, Unreachable, "nothing was heard"),
        (servers.drip, Unreachable, "did not end"),
    ],
)
def test_what_a_bot_makes_of_an_answer(
    system: System, bot: Settings, answer: Answer, kind: type[Exception], words: str
) -> None:
    system.script.append(answer)
    short = {"http_read_seconds": 1, "http_whole_seconds": 3}
    with pytest.raises(kind, match=words) as error:
        opened(bot(**short)).send(delivery(slack()), None)
    assert type(error.value) is kind
    assert TOKEN not in str(error.value)
    if isinstance(error.value, RateLimited):
        assert error.value.after == timedelta(seconds=9)
    assert len(system.requests) == 1


def test_the_token_follows_no_redirect(system: System, bot: Settings) -> None:
    with servers.running() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            system.script.append(says(status, b"", {"Location": f"{elsewhere.url}/api/chat.postMessage"}))
            with pytest.raises(DestinationUnavailable, match=f"Slack answered {status}"):
                opened(bot()).send(delivery(slack()), None)
        assert elsewhere.requests == []


def test_a_message_is_looked_for_since_the_outbox_holds_its_action(
    workspace: Workspace, bot: Settings, outbox: Outbox
) -> None:
    settings, row = bot(chat_max_age_hours=1_000), slack()
    outbox.enqueue([row], NOW, settings)
    created = outbox.action(row.action_key)
    assert created is not None
    # Posted at the first try, and the process died before it noted that down; the next pass comes days later.
    opened(settings).send(delivery(row), None)
    workspace.messages[0]["ts"] = f"{created.created_at.timestamp():.6f}"
    # Whoever posts the same some weeks before has nothing to do with it.
    workspace.messages.insert(
        0, workspace.messages[0] | {"ts": f"{created.created_at.timestamp() - 1e6:.6f}"}
    )
    later = NOW + timedelta(days=5)
    assert dispatch(outbox, "chat", settings, now=later).sent == 1
    sent = outbox.action(row.action_key)
    assert sent is not None
    assert sent.external_id == f"C1:{workspace.messages[1]['ts']}"
    assert len(workspace.messages) == 2


def test_nothing_of_a_message_is_logged(
    workspace: Workspace, bot: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        opened(bot()).send(delivery(slack()), None)
        with pytest.raises(TransientError):
            opened(bot()).send(delivery(slack(slack_channel="#nowhere")), None)
    assert not [one for one in caplog.records if "Ada" in one.getMessage() or TOKEN in one.getMessage()]


def test_a_webhook_posts_to_the_channels_own_url(system: System, webhook: Settings) -> None:
    urls = f"#vip={system.url}/vip/key, {system.url}/rest/key"
    target = opened(webhook(urls))
    for row, path in ((slack(), "/rest/key"), (slack(slack_channel="#VIP"), "/vip/key")):
        assert target.send(delivery(row), None) == f"webhook:{row.action_key}"
        request = system.requests[-1]
        assert request.path == path
        assert set(request.json()) == {"text", "blocks", "unfurl_links", "unfurl_media"}
        for block in Block.parse_all(request.json()["blocks"]):
            block.validate_json()
    with pytest.raises(Forbidden, match="no webhook for #support"):
        opened(webhook(f"#vip={system.url}/vip")).send(delivery(slack()), None)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (says(400, b"invalid_payload"), Rejected, "invalid_payload"),
        (says(403, b"invalid_token"), DestinationUnavailable, "AFTERCALL_SLACK_WEBHOOK_URL"),
        (says(403, b"action_prohibited"), TransientError, "action_prohibited"),
        (says(404, b"no_service"), DestinationUnavailable, "no_service"),
        (says(404, b"channel_not_found"), TransientError, "channel_not_found"),
        (says(410, b"channel_is_archived"), TransientError, "channel_is_archived"),
        (says(429, b"", {"Retry-After": "30"}), RateLimited, "429"),
        (says(500, b"rollup_error"), Unreachable, "rollup_error"),
        (says(500, b"server_error"), Unreachable, "server_error"),
        (says(503), Unreachable, "503"),
        (says(429, b"rate_limited", {"Retry-After": "30"}), RateLimited, "429"),
        (servers.html(404), Unreachable, "404"),
        (says(200, b"no_team"), DestinationUnavailable, "no_team"),
        (says(200, b""), Unreachable, "not ok"),
        (servers.html(200), Unreachable, "not ok: Oops|not ok: <html>"),
        (servers.reset, Unreachable, "the connection failed"),
        (servers.hang, Unreachable, "nothing was heard"),
    ],
)
def test_what_a_webhook_makes_of_an_answer(
    system: System, webhook: Settings, answer: Answer, kind: type[Exception], words: str
) -> None:
    system.script.append(answer)
    with pytest.raises(kind, match=words) as error:
        opened(webhook()).send(delivery(slack()), None)
    assert type(error.value) is kind
    assert "B0/key" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"chat": "slack_bot"}, "AFTERCALL_SLACK_BOT_TOKEN"),
        ({"chat": "slack_webhook"}, "AFTERCALL_SLACK_WEBHOOK_URL"),
        ({"chat": "slack_webhook", "slack_webhook_url": "#support"}, "AFTERCALL_SLACK_WEBHOOK_URL"),
        (
            {"chat": "slack_bot", "slack_bot_token": TOKEN, "slack_api_url": "slack"},
            "AFTERCALL_SLACK_API_URL",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, changes: dict[str, str], setting: str) -> None:
    with pytest.raises(DestinationUnavailable, match=f"set {setting}"):
        opened(IntegrationSettings(home=tmp_path, **changes))


def test_a_wrong_token_costs_one_request(
    system: System, workspace: Workspace, bot: Settings, outbox: Outbox
) -> None:
    settings = bot(slack_bot_token="xoxb-wrong-token")
    outbox.enqueue([slack(str(number)) for number in range(50)], NOW, settings)
    reports = [dispatch(outbox, "chat", settings, now=NOW) for _ in itertools.repeat(None, 3)]
    assert [(report.sent, report.due, report.waiting) for report in reports] == [(0, 0, 50)] * 3
    assert len(system.requests) == 1
    assert "xoxb-wrong" not in json.dumps([pause.reason for pause in outbox.pauses()])
