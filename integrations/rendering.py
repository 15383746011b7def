"""Turning strangers' words into text that is safe where it goes; shared by every channel.

Callers, transcripts and summaries are data: they are only ever values of a template, never part of one. What
a message says is in the channels' folders.
"""

import re
import unicodedata
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
    end = max(limit - len(CUT), 0)
    while end and (
        unicodedata.combining(text[end]) or text[end] in "\u200d\ufe0f" or text[end - 1] == "\u200d"
    ):
        end -= 1
    return text[:end].rstrip() + CUT


def moment(value: Any) -> str:
    """A moment as people write it, in UTC; text that is none as it stands."""
    try:
        told = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return line(value, 40) if value else ""
    told = told if told.tzinfo else told.replace(tzinfo=UTC)
    return f"{told.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def words(value: Any, default: str) -> str:
    """A snake_case code as words: `rental_car` → `rental car`; the default for an empty one."""
    return line(_as_text(value).replace("_", " "), 80) or default


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)
