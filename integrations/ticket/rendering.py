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

from integrations import rendering
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
        """The facts that a comment repeats when they change."""
        return tuple(fact for fact in self.facts if fact[0] not in NO_NEWS)


def ticket_of(delivery: Delivery, board_url: str = "") -> Ticket:
    """The ticket of an action; an unknown priority becomes normal, an empty title gets the call's id.

    Raises DestinationUnavailable if AFTERCALL_BOARD_URL is no address.
    """
    payload = delivery.payload
    name, phone = line(payload.get("customer_name"), LONGEST_NAME), line(payload.get("customer_phone"), 32)
    email = line(payload.get("customer_email"), 254)
    summary, transcript = _parts(prose(payload.get("description"), LONGEST))
    is_resolved = payload.get("is_resolved") is True
    priority = line(payload.get("priority")).lower()
    link = call_page(board_url, delivery.source, delivery.call_id)
    facts = {
        "Status": RESOLVED_LATER if is_resolved else "",
        "Customer": " · ".join(filter(None, (name or "unknown", phone, email))),
        "Reason": words(payload.get("issue_type"), ""),
        "Time": moment(payload.get("started_at")),
        "Voice agent": line(payload.get("agent_id"), 80),
        "Call": f"{line(delivery.call_id)} ({line(delivery.source)})",
        "On the board": link,
    }
    return Ticket(
        external_key=delivery.action_key,
        title=line(payload.get("title")) or f"Call {line(delivery.call_id)}",
        summary=shorten(summary or "Nothing is known about what was said.", LONGEST_SUMMARY),
        facts=tuple((label, value) for label, value in facts.items() if value),
        transcript=transcript,
        priority=priority if priority in PRIORITIES else "normal",
        queue=line(payload.get("queue")) or "support",
        issue_type=line(payload.get("issue_type")) or "general",
        is_resolved=is_resolved,
        customer_name=name,
        customer_phone=phone,
        customer_email=email,
        link=link,
    )


def description(ticket: Ticket, room: int = LONGEST) -> str:
    """The whole of it as plain text; of the transcript at most `room` characters."""
    return str(
        templates(_FOLDER)
        .get_template("description.txt.j2")
        .render(summary=ticket.summary, facts=ticket.facts, transcript=shorten(ticket.transcript, room))
    ).strip()


def fitted(make: Callable[[int], str], most: int) -> str:
    """The text of `make` with as much room for the transcript as keeps it within `most` bytes of UTF-8."""
    return rendering.fitted(make, most, lambda text: len(text.encode()))


def fields(ticket: Ticket) -> dict[str, Any]:
    """What a system gets that takes JSON: the fields, and the whole text as `description`."""
    return {
        "external_key": ticket.external_key,
        "title": ticket.title,
        "description": description(ticket),
        "priority": ticket.priority,
        "queue": ticket.queue,
        "issue_type": ticket.issue_type,
        "is_resolved": ticket.is_resolved,
        "link": ticket.link,
        "customer_name": ticket.customer_name,
        "customer_phone": ticket.customer_phone,
        "customer_email": ticket.customer_email,
    }


def render(delivery: Delivery, board_url: str = "") -> Rendered:
    """The ticket as a JSON document."""
    ticket = ticket_of(delivery, board_url)
    return Rendered(
        "application/json", ticket.title, orjson.dumps(fields(ticket), option=orjson.OPT_INDENT_2).decode()
    )


def _parts(text: str) -> tuple[str, str]:
    """A description as summary and transcript."""
    begins = _TRANSCRIPT.search(text)
    if begins is None:
        return text, ""
    return text[: begins.start()].strip(), text[begins.end() :].strip()
