"""A ticket as Redmine shows it: words that none of its text formattings takes for markup, and a line to find it by.

Which formatting a Redmine has (Textile, Markdown, CommonMark) its API does not tell, so the same text must do for all.
What is sent where belongs to `redmine`.
"""

import re

from integrations.ticket.rendering import Ticket, description, fitted

LONGEST = 60_000
_MARK = re.compile(r"[!-/:-@\[-`{-~]")
# Punctuation where it means nothing but itself: it stays readable for whoever edits the text or gets it by mail.
_ITSELF = re.compile(
    r"(?<=\w)-(?=\w)|(?<=[\w)])[.?!:](?=\s|$)|[,;'\"/$]|\(|\)(?!\.)|\+(?=\d{5})|(?<=\d)%|&(?![#\w])"
)
# What begins a line and may make it a heading, a list or a block: `h1.`, `p(class).`, `12)`.
_OPENING = re.compile(r"\A(?:[a-z]{1,2}\d*+|\d++|pre|table|notextile)(?![a-z])[^\s.)]*+[.)]++", re.I)
_INVISIBLE = "\u200b"


def written_text(ticket: Ticket, ending: str, *, is_plain: bool) -> str:
    """The ticket's text and `ending` as its last line."""

    def build(room: int) -> str:
        text = description(ticket, room)
        # Our own link stays one.
        shown = text if is_plain else harmless(text).replace(harmless(ticket.link) or "\n\n\n", ticket.link)
        return f"{shown}\n\n{ending}"

    return fitted(build, LONGEST)


def harmless(text: str) -> str:
    """Text that reads the same and is no markup; where a mark could mean something stands its entity."""
    return "\n".join(_line(line.strip()) for line in text.split("\n"))


def _line(line: str) -> str:
    opening = _OPENING.match(line)
    begins = opening.end() if opening else 0

    def mark(match: re.Match[str]) -> str:
        at, char = match.start(), match[0]
        if _ITSELF.match(line, at) and not (at < begins and char in ".()"):
            return char
        before = line[at - 1 : at]
        # CommonMark turns entities back before Redmine looks for its links (#12, @name, user:name).
        links = (char in "#@" and not before.isalnum()) or (char == ":" and before.isalpha())
        return f"&#{ord(char)};{_INVISIBLE if links else ''}"

    return _MARK.sub(mark, line)
