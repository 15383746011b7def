"""Microsoft Teams: cards that its rules allow, whatever strangers said, and what each answer means."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Destination, open_destination
from integrations.errors import DestinationUnavailable, Forbidden, RateLimited, Rejected, Unreachable
from integrations.outbox import Outbox, dispatch
from tests.integrations import servers
from tests.integrations.chat.adaptive_card import complaints, texts
from tests.integrations.examples import NOW, delivery, slack
from tests.integrations.servers import Answer, System, says

HOSTILE = (
    "[bank](https://evil.example/x) ![i](https://evil.example/i.png) **b** <at>all</at> <b>x</b> "
    "https://evil.example/y {{DATE(2026-01-01T00:00:00Z, SHORT)}} \u202e 👩‍👩‍👧 \x00 \ud83d"
)
TEXTS = ("headline", "customer", "summary", "action_needed", "agent_id", "started_at")
Settings = Callable[..., IntegrationSettings]


@pytest.fixture
def system() -> Iterator[System]:
    with servers.running() as started:
        started.always = lambda request: says(202)
        yield started


@pytest.fixture
def make(system: System, tmp_path: Path) -> Settings:
    def settings(urls: str = "", **changes: Any) -> IntegrationSettings:
        ours: dict[str, Any] = {
            "chat": "teams", "teams_webhook_url": urls or f"{system.url}/workflows/key?sig=hush-hush",
            "http_read_seconds": 1,
        }  # fmt: skip
        return IntegrationSettings(home=tmp_path, **(ours | changes))

    return settings


def opened(settings: IntegrationSettings) -> Destination:
    return open_destination("chat", settings)


def test_a_card_says_what_the_message_says(system: System, make: Settings) -> None:
    row = slack(icon="📞", headline="Transfer requested", summary="Ada wants a person.\n\nToday.")
    links = {"ticket": "https://desk.example/4711"}
    settings = make(board_url="https://board.example")
    posted = opened(settings).send(replace(delivery(row), links=links), None)
    assert posted == f"webhook:{row.action_key}"
    (request,) = system.requests
    assert request.headers["content-type"] == "application/json"
    assert complaints(request.body) == []
    assert texts(request.body) == [
        "📞 Transfer requested", "Summary", "Ada wants a person.", "Today.", "Action needed", "Call her back",
        "Customer: Ada", "Agent: a1", "Started: 2 Nov 2026, 07:55 UTC", "Call 1 · atoms",
    ]  # fmt: skip
    actions = request.json()["attachments"][0]["content"]["actions"]
    assert [(one["title"], one["url"]) for one in actions] == [
        ("Open the ticket", "https://desk.example/4711"),
        ("Open the call", "https://board.example/calls/atoms/1"),
    ]


def test_nothing_that_strangers_say_becomes_a_link_or_a_mention(system: System, make: Settings) -> None:
    row = slack(call=HOSTILE, **dict.fromkeys(TEXTS, HOSTILE))
    opened(make()).send(delivery(row), None)
    (request,) = system.requests
    assert complaints(request.body) == []
    shown = "\n".join(texts(request.body))
    assert "[bank](https[:]//evil[.]example/x)" in shown
    assert "https://evil" not in shown
    assert "\u202e" not in shown
    assert "actions" not in request.json()["attachments"][0]["content"]
    assert "entities" not in request.body.decode()


@pytest.mark.parametrize("text", ["x", "👩", "a👩&", "e\u0301", '"', "\\", "x\n", "\n\n", "a.b"])
def test_every_message_is_small_enough(system: System, make: Settings, text: str) -> None:
    long = text * 100_000
    row = replace(
        delivery(slack(call=long, **dict.fromkeys(TEXTS, long))), links={"ticket": "https://d/" + long}
    )
    opened(make()).send(row, None)
    assert complaints(system.requests[-1].body) == []


def test_the_judge_finds_out_what_is_wrong(make: Settings) -> None:
    target: Any = opened(make())
    whole = target.body(delivery(slack()), None)
    assert complaints(orjson.dumps(whole)) == []
    card = whole["attachments"][0]["content"]
    parts: tuple[dict[str, Any], ...] = (
        {"version": "9"}, {"body": []}, {"body": [{"type": "TextBlock", "text": "[a](https://b)"}]},
        {"actions": [{"type": "Action.OpenUrl", "title": "x", "url": "javascript:1"}]}, {"msteams": {}},
    )  # fmt: skip
    for wrong in parts:
        body = {**whole, "attachments": [{**whole["attachments"][0], "content": {**card, **wrong}}]}
        assert complaints(orjson.dumps(body)), wrong
    assert complaints(orjson.dumps({**whole, "padding": "x" * 28_672}))


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (says(429, b"", {"Retry-After": "30"}), RateLimited, "429"),
        (says(200, b"Webhook message delivery failed with error: Teams endpoint returned HTTP error 429 with x"),
         RateLimited, "HTTP error 429"),
        (says(200, b"Microsoft Teams endpoint returned HTTP error 413 with x"), Rejected, "HTTP error 413"),
        (says(200, b"Microsoft Teams endpoint returned HTTP error 503 with x"), Unreachable, "HTTP error 503"),
        (says(200, {"error": {"code": "Oops"}}), Unreachable, "not that it took the message"),
        (servers.html(200), Unreachable, "not that it took the message"),
        (says(400, {"error": {"code": "TriggerInputSchemaMismatch"}}), Rejected, "TriggerInputSchemaMismatch"),
        (says(400, {"error": {"code": "WorkflowTriggerIsNotEnabled"}}), DestinationUnavailable, "Turn the workflow on"),
        (says(401, {"error": {"code": "DirectApiAuthorizationRequired"}}), DestinationUnavailable, "AFTERCALL_TEAMS"),
        (says(403), Forbidden, "AFTERCALL_TEAMS_WEBHOOK_URL"),
        (says(413), Rejected, "413"),
        (says(502), Unreachable, "502"),
        (servers.reset, Unreachable, "the connection failed"),
        (servers.hang, Unreachable, "nothing was heard"),
    ],
)  # fmt: skip
def test_what_an_answer_means(
    system: System, make: Settings, answer: Answer, kind: type[Exception], message: str
) -> None:
    system.script.append(answer)
    with pytest.raises(kind, match=message) as error:
        opened(make()).send(delivery(slack()), None)
    assert type(error.value) is kind
    assert "hush" not in str(error.value)


@pytest.mark.parametrize("text", [b"", b"1"])
def test_both_kinds_of_webhooks_take_a_message(system: System, make: Settings, text: bytes) -> None:
    system.always = lambda request: says(200, text)
    assert opened(make()).send(delivery(slack()), None)


def test_a_channel_may_have_a_webhook_of_its_own(system: System, make: Settings) -> None:
    target = opened(make(f"#vip={system.url}/vip?sig=a%2Cb, {system.url}/rest?sig=c"))
    for row, path in ((slack(), "/rest"), (slack(slack_channel="#VIP"), "/vip")):
        target.send(delivery(row), None)
        assert system.requests[-1].path.partition("?")[0] == path
    with pytest.raises(
        Forbidden, match="no webhook for #support: add #support=URL to AFTERCALL_TEAMS_WEBHOOK_URL"
    ):
        opened(make(f"#vip={system.url}/vip")).send(delivery(slack()), None)
    with pytest.raises(DestinationUnavailable, match="set AFTERCALL_TEAMS_WEBHOOK_URL"):
        opened(make("#vip"))


def test_a_busy_teams_is_asked_again_and_gets_each_message_once(
    system: System, make: Settings, outbox: Outbox
) -> None:
    settings = make()
    outbox.enqueue([slack()], NOW, settings)
    system.script.append(says(429, b"", {"Retry-After": "60"}))
    assert dispatch(outbox, "chat", settings, now=NOW).sent == 0
    (pause,) = outbox.pauses()
    assert (pause.destination, pause.until) == ("teams", NOW + timedelta(seconds=60))
    later = NOW + timedelta(minutes=5)
    assert dispatch(outbox, "chat", settings, now=later).sent == 1
    assert dispatch(outbox, "chat", settings, now=later).sent == 0
    assert [one.method for one in system.requests].count("POST") == 2
    action = outbox.action(slack().action_key)
    assert action is not None
    assert (action.destination, action.external_id) == ("teams", f"webhook:{slack().action_key}")


def test_the_key_in_the_address_is_no_part_of_any_error(
    system: System, make: Settings, outbox: Outbox
) -> None:
    settings = make()
    outbox.enqueue([slack()], NOW, settings)
    url = system.url.encode()
    system.always = lambda request: says(400, b'{"error": "bad ' + url + b'/workflows/key?sig=hush-hush"}')
    dispatch(outbox, "chat", settings, now=NOW)
    action = outbox.action(slack().action_key)
    assert action is not None
    assert "400" in str(action.last_error)
    assert "hush" not in str(action.last_error)
