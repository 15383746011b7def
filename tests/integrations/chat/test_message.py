"""What a chat message says, whatever the destination, and how a preview shows it."""

import json
from dataclasses import replace
from pathlib import Path

from integrations.chat.message import message, render
from integrations.config import IntegrationSettings
from integrations.destinations import available, open_destination
from integrations.outbox import Outbox, dispatch
from tests.integrations.examples import NOW, delivery, slack

SETTINGS = IntegrationSettings(home=Path("/nowhere"), board_url="https://board.example")


def test_a_message_says_the_same_for_every_destination() -> None:
    row = replace(delivery(slack(icon="📞")), links={"ticket": "https://desk.example/4711"})
    whole = message(row, SETTINGS)
    assert (whole.channel, whole.title) == ("#support", "📞 Transfer requested by Ada")
    assert whole.sections == (("Summary", "Ada wants a person."), ("Action needed", "Call her back"))
    assert whole.facts == (("Customer", "Ada"), ("Agent", "a1"), ("Started", "2 Nov 2026, 07:55 UTC"))
    assert [button.url for button in whole.buttons] == [
        "https://desk.example/4711",
        "https://board.example/calls/atoms/1",
    ]
    assert (whole.small_print, whole.action_key) == ("Call 1 · atoms", row.action_key)


def test_headline_and_icon_come_from_the_payload_alone() -> None:
    plain = message(delivery(slack("1", "long_call", headline=None)), SETTINGS)
    assert (plain.icon, plain.title) == ("", "Long call")


def test_a_preview_keeps_the_message_without_any_systems_markup(
    outbox: Outbox, url: str, tmp_path: Path
) -> None:
    settings = IntegrationSettings(home=tmp_path, outbox_url=url)
    outbox.enqueue([slack(summary="<!here> *b*")], NOW, settings)
    assert dispatch(outbox, "chat", settings, now=NOW).sent == 1
    (preview,) = outbox.previews(channel="chat", limit=1_000)
    assert preview.title == "#support: Transfer requested by Ada"
    body = json.loads(preview.body)
    assert body == json.loads(render(delivery(slack(summary="<!here> *b*")), settings).body)
    assert body["sections"][0] == ["Summary", "<!here> *b*"]


def test_the_destinations_of_the_channel(tmp_path: Path) -> None:
    assert available("chat") == ("preview", "signed_webhook", "slack_bot", "slack_webhook", "teams")
    secrets = {
        "slack_bot_token": "xoxb-1", "slack_webhook_url": "https://h/1", "teams_webhook_url": "https://h/2",
        "webhook_url": "https://h/3", "webhook_secret": "whsec_" + "A" * 44,
    }  # fmt: skip
    settings = IntegrationSettings(home=tmp_path, **secrets)
    for name in available("chat"):
        assert open_destination("chat", settings, name).name == name
