"""Block Kit pieces that keep Slack's rules whatever text goes in: escaping and lengths.

Limits are those of Slack's reference of Block Kit: header 150 characters, section 3,000, field 2,000 and ten
of them; small print is kept to a field's. Length counts after escaping, in UTF-16 units, which is the larger
of the ways to count.
"""

from collections.abc import Sequence
from typing import Any

from integrations.rendering import CUT, fit, line, prose

HEADER, SECTION, FIELD, FIELDS = 150, 3_000, 2_000, 10
BUTTON, BUTTONS, URL = 75, 25, 3_000
# Recommended for the fallback text of a message with blocks.
FALLBACK = 4_000
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

Block = dict[str, Any]


def escape(text: str, limit: int) -> str:
    """Text inert in mrkdwn: `<!channel>`, `<@U…>` and links are shown, not carried out.

    It is cut to the limit in whole characters and whole entities.
    """
    whole = "".join(_ESCAPES.get(char, char) for char in text)
    if units(whole) <= limit:
        return whole
    pieces, room = [], limit - units(CUT)
    for char in text:
        piece = _ESCAPES.get(char, char)
        room -= units(piece)
        if room < 0:
            break
        pieces.append(piece)
    return "".join(pieces) + CUT


def units(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text) + sum(char > "\uffff" for char in text)


def header(text: str) -> Block:
    """A title; plain text, so it needs no escaping."""
    return {"type": "header", "text": _plain(text, HEADER)}


def section(label: str, text: str) -> Block:
    """A paragraph under a bold label of ours."""
    return {"type": "section", "text": _mrkdwn(label, prose(text, SECTION), SECTION)}


def facts(pairs: Sequence[tuple[str, str]]) -> Block:
    """Short labelled values side by side, at most ten."""
    return {
        "type": "section",
        "fields": [_mrkdwn(label, line(text), FIELD) for label, text in pairs[:FIELDS]],
    }


def context(text: str) -> Block:
    """Small print."""
    return {"type": "context", "elements": [_plain(text, FIELD)]}


def buttons(links: Sequence[tuple[str, str, str]]) -> Block:
    """Links as buttons: an id of ours, the words on it, an http address of at most 3,000 characters."""
    return {
        "type": "actions",
        "elements": [
            {"type": "button", "action_id": name, "text": _plain(label, BUTTON), "url": url}
            for name, label, url in links[:BUTTONS]
        ],
    }


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": fit(line(text, limit), limit) or "-", "emoji": False}


def _mrkdwn(label: str, text: str, limit: int) -> Block:
    start = f"*{label}*\n"
    # verbatim: Slack shall not look for @here, #channels and addresses in what strangers said.
    return {"type": "mrkdwn", "text": start + (escape(text, limit - len(start)) or "-"), "verbatim": True}
