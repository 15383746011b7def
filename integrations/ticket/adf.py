"""A ticket in the Atlassian Document Format: words are only ever text nodes, so nothing in them is markup.

What is sent where belongs to `jira`.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from integrations.rendering import shorten
from integrations.ticket.rendering import Ticket, fitted

# Jira takes 32,767 characters of text; whether its own marks count is not said, so they do here.
LONGEST = 32_000


def document(ticket: Ticket) -> dict[str, Any]:
    """Summary, facts and as much of the transcript as Jira takes."""

    def build(room: int) -> str:
        content = [
            *_paragraphs(ticket.summary, "\n\n"),
            _facts(ticket),
            *_transcript(shorten(ticket.transcript, room)),
        ]
        return orjson.dumps({"type": "doc", "version": 1, "content": content}).decode()

    whole: dict[str, Any] = orjson.loads(fitted(build, LONGEST))
    return whole


def _facts(ticket: Ticket) -> dict[str, Any]:
    link = {"marks": [{"type": "link", "attrs": {"href": ticket.link}}]}
    items = [
        {
            "type": "listItem",
            "content": [
                {
                    "type": "paragraph",
                    "content": [
                        {"type": "text", "text": f"{label}: ", "marks": [{"type": "strong"}]},
                        {"type": "text", "text": value, **(link if value == ticket.link else {})},
                    ],
                }
            ],
        }
        for label, value in ticket.facts
    ]
    return {"type": "bulletList", "content": items}


def _transcript(text: str) -> Iterator[dict[str, Any]]:
    if text:
        heading = {"type": "text", "text": "Transcript"}
        yield {"type": "heading", "attrs": {"level": 3}, "content": [heading]}
        yield from _paragraphs(text, "\n")


def _paragraphs(text: str, end: str) -> Iterator[dict[str, Any]]:
    """A text node may neither be empty nor hold a line break."""
    for part in text.split(end):
        content: list[dict[str, Any]] = []
        for one in filter(None, part.split("\n")):
            content += [{"type": "hardBreak"}] * bool(content) + [{"type": "text", "text": one}]
        if content:
            yield {"type": "paragraph", "content": content}
