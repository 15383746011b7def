"""Chat messages as Slack gets them, against Slack's own rules."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.models.blocks import Block

from integrations.chat import message as chat
from integrations.chat.slack_message import arguments
from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import DestinationUnavailable, Rejected
from integrations.slack.blocks import escape, units
from tests.integrations.examples import delivery, slack


def message(of: Delivery, settings: IntegrationSettings) -> dict[str, Any]:
    return arguments(chat.message(of, settings))


SETTINGS = IntegrationSettings(home=Path("/nowhere"))
HOSTILE = (
    "<!channel> <!here> <@U123> <https://evil.example|bank> @everyone & {{ 7*7 }} \u202e 👩‍👩‍👧 \x00 \ud83d"
)


def texts(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, dict):
        own = [part] if part.get("type") in ("plain_text", "mrkdwn") else []
        return own + [text for value in part.values() for text in texts(value)]
    return [text for value in part for text in texts(value)] if isinstance(part, list) else []


@pytest.mark.parametrize(
    ("kind", "icon", "header"),
    [
        ("transfer_requested", "📞", "📞 Transfer requested by Ada"),
        ("long_call", "⏳", "⏳ Transfer requested by Ada"),
        ("long_call", None, "Transfer requested by Ada"),
    ],
)
def test_a_message(kind: str, icon: str | None, header: str) -> None:
    body = message(delivery(slack(kind=kind, icon=icon)), SETTINGS)
    assert body["channel"] == "#support"
    assert body["text"] == "Transfer requested by Ada"
    assert [block["type"] for block in body["blocks"]] == [
        "header",
        "section",
        "section",
        "section",
        "context",
    ]
    assert texts(body["blocks"][0])[0]["text"] == header
    assert texts(body["blocks"][3])[2]["text"] == "*Started*\n2 Nov 2026, 07:55 UTC"
    assert body["metadata"]["event_payload"] == {"action_key": f"{kind}:atoms:1"}
    assert (body["parse"], body["link_names"], body["unfurl_links"]) == ("none", False, False)


def test_nobody_can_be_called_through_it() -> None:
    hostile = dict.fromkeys(
        ("headline", "customer", "summary", "action_needed", "agent_id", "started_at"), HOSTILE
    )
    body = message(delivery(slack(call=HOSTILE, **hostile)), SETTINGS)
    for text in texts(body["blocks"]):
        if text["type"] == "mrkdwn":
            assert "<" not in text["text"]
            assert ">" not in text["text"]
            assert text["verbatim"] is True
    assert "<" not in body["text"]
    assert "&lt;!channel&gt;" in body["text"]
    json.dumps(body["blocks"], ensure_ascii=False).encode()


@pytest.mark.parametrize("text", ["x", "&", "<", "👩", "a👩&", "e\u0301"])
def test_every_length_is_within_slacks_limits(text: str) -> None:
    long = text * 100_000
    fields = ("headline", "customer", "summary", "action_needed", "agent_id", "started_at")
    body = message(delivery(slack(call=long, **dict.fromkeys(fields, long))), SETTINGS)
    assert len(body["blocks"]) <= 50
    assert units(body["text"]) <= 4_000
    for block in body["blocks"]:
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
    body = message(delivery(slack(**nothing)), SETTINGS)
    assert body["text"] == "Transfer requested"
    assert [block["type"] for block in body["blocks"]] == ["header", "context"]


def test_no_channel_is_refused() -> None:
    with pytest.raises(Rejected, match="Cannot post transfer_requested: no chat channel is set"):
        message(delivery(slack(slack_channel=None)), SETTINGS)


def buttons(body: dict[str, Any]) -> dict[str, str]:
    rows = (block for block in body["blocks"] if block["type"] == "actions")
    return {one["text"]["text"]: one["url"] for block in rows for one in block["elements"]}


def test_buttons_lead_to_the_ticket_the_contact_and_the_call() -> None:
    links = {"contact": "https://crm.example/7?a&b", "ticket": "https://desk.example/4711"}
    row = replace(delivery(slack(call="a/b c?&<#")), links=links)
    body = message(row, IntegrationSettings(home=Path("/nowhere"), board_url="https://board.example/x/"))
    assert list(buttons(body).items()) == [
        ("Open the ticket", "https://desk.example/4711"),
        ("Open the contact", "https://crm.example/7?a&b"),
        ("Open the call", "https://board.example/x/calls/atoms/a%2Fb%20c%3F%26%3C%23"),
    ]
    for block in Block.parse_all(body["blocks"]):
        block.validate_json()
    assert list(buttons(message(row, SETTINGS))) == ["Open the ticket", "Open the contact"]
    assert buttons(message(delivery(slack()), SETTINGS)) == {}


def test_a_link_that_slack_does_not_take_is_left_out() -> None:
    row = replace(delivery(slack()), links={"ticket": "https://desk.example/" + "x" * 3_000})
    assert not any(block["type"] == "actions" for block in message(row, SETTINGS)["blocks"])
    with pytest.raises(DestinationUnavailable, match="AFTERCALL_BOARD_URL"):
        message(row, IntegrationSettings(home=Path("/nowhere"), board_url="board.example"))


def test_what_the_headline_says_whole_is_not_repeated() -> None:
    def sections(summary: str) -> list[str]:
        row = slack(kind="unhappy_customer", headline=f"Unhappy customer: {summary}", summary=summary)
        return [
            block["text"]["text"] for block in message(delivery(row), SETTINGS)["blocks"] if "text" in block
        ]

    assert not any("*Summary*" in text for text in sections("The car was dirty."))
    assert any("*Summary*" in text for text in sections("The car was dirty. " * 20))


def test_a_problem_and_its_end_look_different() -> None:
    settings = IntegrationSettings(home=Path("/nowhere"), board_url="https://board.example")
    empty: dict[str, Any] = {"customer": None, "agent_id": None, "started_at": None}
    problem = slack(
        kind="pipeline_alert", headline="The ticket channel has stopped at zendesk", summary="zendesk: 401 <!here>",
        action_needed="Look at AFTERCALL_ZENDESK_TOKEN", **empty,
    )  # fmt: skip
    over = slack(
        kind="pipeline_alert", headline="Resolved: The ticket channel has stopped at zendesk",
        summary="It lasted from 08:00 to 09:00.", action_needed="", **empty,
    )  # fmt: skip
    began, ended = (message(delivery(row), settings) for row in (problem, over))
    assert [text["text"] for text in texts(began["blocks"])] == [
        "🔴 The ticket channel has stopped at zendesk",
        "*What was seen*\nzendesk: 401 &lt;!here&gt;",
        "*What to do*\nLook at AFTERCALL_ZENDESK_TOKEN",
        "Open the board",
        "aftercall · 2 Nov 2026, 08:00 UTC",
    ]
    assert [text["text"] for text in texts(ended["blocks"])] == [
        "✅ Resolved: The ticket channel has stopped at zendesk",
        "*What happened*\nIt lasted from 08:00 to 09:00.",
        "aftercall · 2 Nov 2026, 08:00 UTC",
    ]
    for body in (began, ended):
        for block in Block.parse_all(body["blocks"]):
            block.validate_json()


@pytest.mark.parametrize("text", ["soon", "<!channel>", "2026-11-02T09:55:00+02:00", ""])
def test_a_moment_that_is_none_stays_words(text: str) -> None:
    shown = [one["text"] for one in texts(message(delivery(slack(started_at=text)), SETTINGS)["blocks"])]
    wanted = {"soon": "soon", "<!channel>": "&lt;!channel&gt;", "": None}.get(text, "2 Nov 2026, 07:55 UTC")
    assert (f"*Started*\n{wanted}" in shown) == (wanted is not None)
