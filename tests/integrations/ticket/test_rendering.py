"""Tickets: what a system gets, whatever was said."""

import json
from typing import Any

import pytest

from integrations.ticket.rendering import render, ticket
from tests.integrations.examples import delivery
from tests.integrations.examples import ticket as due


def test_a_ticket() -> None:
    rendered = render(delivery(due()))
    told = json.loads(rendered.body)
    assert rendered.title == told["title"] == "Rental car: Ada"
    assert (told["priority"], told["queue"], told["external_key"]) == ("normal", "cars", "ticket:atoms:1")
    assert told["description"].startswith("It did not start.\n")
    assert "Customer: Ada · +12025550143 · ada@example.com" in told["description"]
    assert "Call: 1 (atoms)" in told["description"]


def test_resolved_after_all_is_told() -> None:
    assert "was resolved" not in ticket(delivery(due())).description
    assert "was resolved" in ticket(delivery(due(is_resolved=True))).description


def test_strangers_words_stay_words() -> None:
    made = ticket(
        delivery(
            due(
                title="a\r\nb\x00",
                description="{{ 7*7 }}\n<script>\u2028\u0645\u0631\u062d\u0628\u0627 👋\ud83d",
            )
        )
    )
    assert made.title == "a b"
    assert made.description.startswith("{{ 7*7 }}\n<script>\n\u0645\u0631\u062d\u0628\u0627 👋\ufffd\n")


def test_a_long_transcript_is_shortened_and_what_is_below_it_stays() -> None:
    made = ticket(delivery(due(description="word " * 200_000, title="t" * 900)))
    assert len(made.description) < 61_000
    assert "…\n" in made.description
    assert made.description.endswith("Call: 1 (atoms)")
    assert len(made.title) == 255


@pytest.mark.parametrize(("given", "made"), [("URGENT", "urgent"), ("soon", "normal"), (None, "normal")])
def test_priorities(given: str | None, made: str) -> None:
    assert ticket(delivery(due(priority=given))).priority == made


def test_little_known() -> None:
    nothing: dict[str, Any] = dict.fromkeys(due().payload)
    made = ticket(delivery(due(**nothing)))
    assert (made.title, made.queue, made.issue_type) == ("Call 1", "support", "general")
    assert "Customer: unknown\n" in made.description
