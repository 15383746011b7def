"""Slack messages against Slack's own rules."""

import json
from typing import Any

import pytest

from integrations.errors import Refused
from integrations.slack.blocks import escape, units
from integrations.slack.rendering import message, render
from tests.integrations.examples import delivery, slack

HOSTILE = (
    "<!channel> <!here> <@U123> <https://evil.example|bank> @everyone & {{ 7*7 }} \u202e 👩‍👩‍👧 \x00 \ud83d"
)


def texts(made: Any) -> list[dict[str, Any]]:
    if isinstance(made, dict):
        own = [made] if made.get("type") in ("plain_text", "mrkdwn") else []
        return own + [text for value in made.values() for text in texts(value)]
    return [text for value in made for text in texts(value)] if isinstance(made, list) else []


@pytest.mark.parametrize("kind", ["transfer_requested", "unhappy_customer", "vip_call", "pipeline_alert"])
def test_a_message(kind: str) -> None:
    made = message(delivery(slack(kind=kind)))
    assert made["channel"] == "#support"
    assert made["text"] == "Transfer requested by Ada"
    assert [block["type"] for block in made["blocks"]] == [
        "header",
        "section",
        "section",
        "section",
        "context",
    ]
    assert made["metadata"]["event_payload"] == {"action_key": f"{kind}:atoms:1"}
    assert (made["parse"], made["link_names"], made["unfurl_links"]) == ("none", False, False)
    rendered = render(delivery(slack(kind=kind)))
    assert json.loads(rendered.body) == made
    assert rendered.title == "#support: Transfer requested by Ada"


def test_nobody_can_be_called_through_it() -> None:
    hostile = dict.fromkeys(
        ("headline", "customer", "summary", "action_needed", "agent_id", "started_at"), HOSTILE
    )
    made = message(delivery(slack(call=HOSTILE, **hostile)))
    for text in texts(made["blocks"]):
        if text["type"] == "mrkdwn":
            assert "<" not in text["text"]
            assert ">" not in text["text"]
            assert text["verbatim"] is True
    assert "<" not in made["text"]
    assert "&lt;!channel&gt;" in made["text"]
    json.dumps(made["blocks"], ensure_ascii=False).encode()


@pytest.mark.parametrize("text", ["x", "&", "<", "👩", "a👩&", "e\u0301"])
def test_every_length_is_within_slacks_limits(text: str) -> None:
    long = text * 100_000
    fields = ("headline", "customer", "summary", "action_needed", "agent_id", "started_at")
    made = message(delivery(slack(call=long, **dict.fromkeys(fields, long))))
    assert len(made["blocks"]) <= 50
    assert units(made["text"]) <= 4_000
    for block in made["blocks"]:
        limit = {"header": 150, "section": 3_000, "context": 2_000}[block["type"]]
        limit = 2_000 if "fields" in block else limit
        assert all(0 < units(one["text"]) <= limit for one in texts(block))
        assert all(
            not one["text"].endswith(("&am…", "&l…", "&…")) for one in texts(block) if "verbatim" in one
        )


@pytest.mark.parametrize("limit", range(5, 17))
def test_escaping_cuts_between_entities(limit: int) -> None:
    cut = escape("a<b&c>d", limit)
    assert units(cut) <= limit
    assert cut.removesuffix("…") in ("", "a", "a&lt;", "a&lt;b", "a&lt;b&amp;", "a&lt;b&amp;c")
    assert escape("a<b&c>d", 17) == "a&lt;b&amp;c&gt;d"
    assert escape("plain", 5) == "plain"


def test_little_known() -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("headline", "customer", "summary", "action_needed", "agent_id", "started_at")
    )
    made = message(delivery(slack(**nothing)))
    assert made["text"] == "Transfer requested"
    assert [block["type"] for block in made["blocks"]] == ["header", "context"]


def test_no_channel_is_refused() -> None:
    with pytest.raises(Refused, match="no Slack channel"):
        message(delivery(slack(slack_channel=None)))
