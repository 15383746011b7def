"""What a ticket says, whatever system takes it: the summary first, then the facts, then the transcript.

Plain text only: a system's own markup is made, and escaped, in its destination. Title, description, priority and
queue were decided in `sync_tickets`; nothing is decided here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from integrations.destinations import Delivery
from integrations.links import call_page
from integrations.rendering import Rendered, line, moment, prose, shorten, templates, words

PRIORITIES = ("low", "normal", "high", "urgent")
LONGEST = 60_000
LONGEST_SUMMARY = 8_000
LONGEST_NAME = 2_000
RESOLVED_LATER = "A later report says that the issue was resolved."
# Context of the call, and what a system did not take: nobody needs to hear of that again.
NO_NEWS = frozenset({"Time", "Voice agent", "On the board", "Left out"})
_FOLDER = Path(__file__).parent / "templates"
# `sync_tickets` puts the transcript below the summary, each turn after its speaker.
_TRANSCRIPT = re.compile(r"(?:\A|\n\n)(?=(?:Agent|Customer): )")


@dataclass(frozen=True)
class Ticket:
    """A ticket; `external_key` is the id under which a system is to know it as ours.

    Args:
        summary: what happened, in some paragraphs.
        facts: what an agent needs beside it, as labels and values, each one line.
        link: the call's page on the board, which is among the facts too; empty if nobody says where the board is.
        transcript: what was said, a line for each turn; empty if nothing is known.
    """

    external_key: str
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    transcript: str
    priority: str
    queue: str
    issue_type: str
    is_resolved: bool
    customer_name: str
    customer_phone: str
    customer_email: str
    link: str = ""

    @property
    def news(self) -> tuple[tuple[str, str], ...]:
        """The facts that are told again when they change."""
        return tuple(fact for fact in self.facts if fact[0] not in NO_NEWS)


def ticket(delivery: Delivery, board_url: str = "") -> Ticket:
    """The ticket of an action; an unknown priority becomes normal, an empty title gets the call's id.

    Raises Paused if the board has an address that is none.
    """
    told = delivery.payload
    name, phone = line(told.get("customer_name"), LONGEST_NAME), line(told.get("customer_phone"), 32)
    email = line(told.get("customer_email"), 254)
    summary, transcript = _parts(prose(told.get("description"), LONGEST))
    is_resolved = told.get("is_resolved") is True
    priority = line(told.get("priority")).lower()
    link = call_page(board_url, delivery.source, delivery.call_id)
    facts = {
        "Status": RESOLVED_LATER if is_resolved else "",
        "Customer": " · ".join(filter(None, (name or "unknown", phone, email))),
        "Reason": words(told.get("issue_type"), ""),
        "Time": moment(told.get("started_at")),
        "Voice agent": line(told.get("agent_id"), 80),
        "Call": f"{line(delivery.call_id)} ({line(delivery.source)})",
        "On the board": link,
    }
    return Ticket(
        external_key=delivery.action_key,
        title=line(told.get("title")) or f"Call {line(delivery.call_id)}",
        summary=shorten(summary or "Nothing is known about what was said.", LONGEST_SUMMARY),
        facts=tuple((label, value) for label, value in facts.items() if value),
        transcript=transcript,
        priority=priority if priority in PRIORITIES else "normal",
        queue=line(told.get("queue")) or "support",
        issue_type=line(told.get("issue_type")) or "general",
        is_resolved=is_resolved,
        customer_name=name,
        customer_phone=phone,
        customer_email=email,
        link=link,
    )


def description(made: Ticket, room: int = LONGEST) -> str:
    """The whole of it as plain text; of the transcript at most `room` characters."""
    return str(
        templates(_FOLDER)
        .get_template("description.txt.j2")
        .render(summary=made.summary, facts=made.facts, transcript=shorten(made.transcript, room))
    ).strip()


def fitted(make: Callable[[int], str], most: int) -> str:
    """What `make` makes with as much room for the transcript as keeps it within `most` bytes of UTF-8."""
    room = most
    while True:
        made = make(room)
        size = len(made.encode())
        if size <= most or room <= 0:
            return made
        room = max(0, min(room * most // size, room) - 100)


def fields(made: Ticket) -> dict[str, Any]:
    """What a system gets that takes JSON: the fields, and the whole text as `description`."""
    return {
        "external_key": made.external_key,
        "title": made.title,
        "description": description(made),
        "priority": made.priority,
        "queue": made.queue,
        "issue_type": made.issue_type,
        "is_resolved": made.is_resolved,
        "link": made.link,
        "customer_name": made.customer_name,
        "customer_phone": made.customer_phone,
        "customer_email": made.customer_email,
    }


def render(delivery: Delivery, board_url: str = "") -> Rendered:
    """The ticket as a JSON document."""
    made = ticket(delivery, board_url)
    return Rendered(
        "application/json", made.title, orjson.dumps(fields(made), option=orjson.OPT_INDENT_2).decode()
    )


def _parts(text: str) -> tuple[str, str]:
    """A description as summary and transcript."""
    begins = _TRANSCRIPT.search(text)
    if begins is None:
        return text, ""
    return text[: begins.start()].strip(), text[begins.end() :].strip()
