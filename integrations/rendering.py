"""Turning strangers' words into text that is safe where it goes; shared by every channel.

Callers, transcripts and summaries are data: they are only ever values of a template, never part of one. What
a message says is in the channels' folders.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
# They turn the reading direction of everything after them, and so can disguise a line; real right-to-left
# text needs none of them.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")
# What belongs to the sign before: a joiner, a colour of skin, a tag of a flag, the vowels and ends of Hangul.
_JOINED = re.compile("[\u200d\u1160-\u11ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_FLAGS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
# Stricter than RFC 5322 on purpose: one mailbox, no quoting, no comment, no route.
_ADDRESS = re.compile(
    r"[^\s@<>()\[\]\\,;:\"{}\x00-\x1f\x7f]+@[^\s@<>()\[\]\\,;:\"{}\x00-\x1f\x7f]+"
    r"\.[^\s@<>()\[\]\\,;:\"{}.\x00-\x1f\x7f]+\.?"
)
LONGEST_ADDRESS = 254
# A dot inside what may be a name of the net: the next part begins with a letter and has two signs. Programs read the
# dots of other scripts as one too. A number with four parts may be an address of the net.
_DOT_OF_A_NAME = re.compile("(?<=[^\\s.\u3002\uff0e\uff61])[.\u3002\uff0e\uff61](?=[^\\W\\d_][\\w-])")
_NUMBERS_OF_THE_NET = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_SCHEME = re.compile(
    r"\b(https?|ftps?|mailto|tel|sms|callto|facetime|skype|whatsapp|javascript|data|[a-z][a-z0-9+]{1,20}(?=://))"
    r":(?=\S)",
    re.IGNORECASE,
)
CUT = "…"


@dataclass(frozen=True)
class Rendered:
    """What goes out: its media type, a title for lists, and the whole of it."""

    media_type: str
    title: str
    body: str


@cache
def templates(folder: Path) -> Environment:
    """Sandboxed templates of a folder; HTML (`*.html.j2`) is escaped, a missing value is an error."""
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def line(value: Any, limit: int = 255) -> str:
    """A value as one line: no control character, line break or direction override, at most `limit` long."""
    text = _DIRECTION.sub("", _SURROGATES.sub("\ufffd", _as_text(value)))
    return shorten(" ".join(_BREAKS.sub(" ", text).split()), limit)


def prose(value: Any, limit: int = 60_000) -> str:
    """A value as text of several lines: line feeds and tabs kept, other control characters gone."""
    text = _SURROGATES.sub("\ufffd", _as_text(value)).replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\x85", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return shorten(_CONTROLS.sub("", text).strip(), limit)


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, the last an ellipsis if anything was cut; no letter loses its marks."""
    if len(text) <= limit:
        return text
    return text[: _whole_letters(text, max(limit - len(CUT), 0))].rstrip() + CUT


def fit(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, as many systems count; the last an ellipsis if anything was cut, as `shorten`."""
    room, end = limit - len(CUT), 0
    if len(text) + sum(char > "\uffff" for char in text) <= limit:
        return text
    for char in text:
        room -= 1 + (char > "\uffff")
        if room < 0:
            break
        end += 1
    return text[: _whole_letters(text, end)].rstrip() + CUT


def fitted(make: Callable[[int], str], most: int, size_of: Callable[[str], int]) -> str:
    """The text that `make` returns for as much room as keeps the text's size within `most`."""
    room = most
    while True:
        text = make(room)
        size = size_of(text)
        if size <= most or room <= 0:
            return text
        room = max(0, min(room * most // size, room) - 100)


def _whole_letters(text: str, end: int) -> int:
    """The last place up to `end` that is not inside what people see as one letter or picture."""
    while 0 < end < len(text) and _is_inside(text, end):
        end -= 1
    return end


def _is_inside(text: str, at: int) -> bool:
    char = text[at]
    if unicodedata.category(char) in ("Mn", "Mc", "Me") or _JOINED.match(char) or text[at - 1] == "\u200d":
        return True
    # Two letters of the alphabet of flags are one flag.
    flags = at - len(text[:at].rstrip(_FLAGS))
    return char in _FLAGS and flags % 2 == 1


def unlinked(text: str) -> str:
    """The text without anything that a mail program would turn into a link: `http[:]//shop[.]example`.

    Brackets are what people write for that, and no program takes them out again.
    """
    text = _NUMBERS_OF_THE_NET.sub(lambda number: number[0].replace(".", "[.]"), text)
    return _SCHEME.sub(r"\1[:]", _DOT_OF_A_NAME.sub(r"[\g<0>]", text))


def is_address(text: str) -> bool:
    """Whether it is one e-mail address of the usual kind. What only sounds like one is kept as said, and is none."""
    return len(text) <= LONGEST_ADDRESS and bool(_ADDRESS.fullmatch(text))


def instant(value: Any) -> datetime | None:
    """A moment, from its ISO 8601 text too, as UTC; without a zone it is UTC; None if it is none."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def moment(value: Any) -> str:
    """A moment as people write it, in UTC; text that is none as it stands."""
    at = instant(value)
    return f"{at:%-d %b %Y, %H:%M} UTC" if at else line(value, 40)


def words(value: Any, default: str) -> str:
    """A snake_case code as words: `rental_car` → `rental car`; the default for an empty one."""
    return line(_as_text(value).replace("_", " "), 80) or default


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)
