"""Tickets: what a system gets, whatever was said."""

import json
from typing import Any

import pytest

from integrations.errors import DestinationUnavailable
from integrations.ticket.rendering import LONGEST, description, fitted, render, ticket_of
from tests.integrations.examples import delivery
from tests.integrations.examples import ticket as due


def test_a_ticket() -> None:
    rendered = render(delivery(due()))
    content = json.loads(rendered.body)
    assert rendered.title == content["title"] == "Rental car: Ada"
    assert (content["priority"], content["queue"], content["external_key"]) == (
        "normal",
        "cars",
        "ticket:atoms:1",
    )
    assert content["description"].startswith("It did not start.\n")
    assert "Customer: Ada · +12025550143 · ada@example.com" in content["description"]
    assert "Call: 1 (atoms)" in content["description"]


def test_when_it_was_who_answered_and_where_to_read_on() -> None:
    row = due(started_at="2026-11-02T08:00:00+00:00", agent_id="a7")
    shown = description(ticket_of(delivery(row), "https://board.example/"))
    assert "Time: 2 Nov 2026, 08:00 UTC\nVoice agent: a7\n" in shown
    assert "On the board: https://board.example/calls/atoms/1" in shown
    bare = description(ticket_of(delivery(due())))
    assert not any(f"\n{label}:" in bare for label in ("Time", "Voice agent", "On the board"))
    with pytest.raises(DestinationUnavailable, match="AFTERCALL_BOARD_URL"):
        ticket_of(delivery(row), "board.example")


def test_resolved_after_all_is_shown() -> None:
    assert "was resolved" not in description(ticket_of(delivery(due())))
    assert "was resolved" in description(ticket_of(delivery(due(is_resolved=True))))


def test_strangers_words_stay_words() -> None:
    result = ticket_of(
        delivery(
            due(
                title="a\r\nb\x00",
                description="{{ 7*7 }}\n<script>\u2028\u0645\u0631\u062d\u0628\u0627 👋\ud83d",
            )
        )
    )
    assert result.title == "a b"
    assert result.summary.startswith("{{ 7*7 }}\n<script>\n\u0645\u0631\u062d\u0628\u0627 👋\ufffd")


def test_the_summary_comes_first_then_the_facts_then_the_transcript() -> None:
    words = "The car did not start.\n\nShe waits.\n\nAgent: Hello?\nCustomer: It is\n\nbroken."
    result = ticket_of(delivery(due(description=words)))
    assert result.summary == "The car did not start.\n\nShe waits."
    assert result.transcript == "Agent: Hello?\nCustomer: It is\n\nbroken."
    whole = description(result)
    parts = [
        "She waits.",
        "Customer: Ada · +12025550143",
        "Reason: rental car",
        "Call: 1 (atoms)",
        "Agent: Hello?",
    ]
    assert sorted(parts, key=whole.index) == parts
    assert ticket_of(delivery(due(description="Customer: only said"))).transcript == "Customer: only said"


def test_a_long_transcript_is_shortened_and_what_is_above_it_stays() -> None:
    speech = "Agent: " + "wörd " * 200_000
    result = ticket_of(delivery(due(description=f"It broke.\n\n{speech}", title="t" * 900)))
    whole = fitted(lambda room: description(result, room), 20_000)
    assert 19_000 < len(whole.encode()) <= 20_000
    assert whole.endswith("…")
    assert "Call: 1 (atoms)" in whole
    assert len(result.title) == 255
    assert len(ticket_of(delivery(due(description="word " * 200_000))).summary) < LONGEST


@pytest.mark.parametrize(("given", "expected"), [("URGENT", "urgent"), ("soon", "normal"), (None, "normal")])
def test_priorities(given: str | None, expected: str) -> None:
    assert ticket_of(delivery(due(priority=given))).priority == expected


def test_little_known() -> None:
    nothing: dict[str, Any] = dict.fromkeys(due().payload)
    result = ticket_of(delivery(due(**nothing)))
    assert (result.title, result.queue, result.issue_type) == ("Call 1", "support", "general")
    assert "Customer: unknown\n" in description(result)
