"""What an HTML page says, in one go over it whatever is in it. What follows from a page belongs to `http`."""

import re
from html import unescape

_TAG = re.compile(r"<[^<>]*>")
_UNSEEN = re.compile(r"<(script|style)\b", re.IGNORECASE)
_END_OF = {name: re.compile(rf"</{name}", re.IGNORECASE) for name in ("script", "style")}


def is_page(media_type: str, text: str) -> bool:
    """True if it is HTML, by its media type or its first character."""
    return "html" in media_type.lower() or text.lstrip()[:1] == "<"


def text_of(page: str) -> str:
    """The text of a page, without tags, scripts and styles. What is never closed ends with the page."""
    parts, start = [], 0
    while unseen := _UNSEEN.search(page, start):
        parts.append(page[start : unseen.start()])
        end = _END_OF[unseen[1].lower()].search(page, unseen.end())
        start = end.start() if end else len(page)
    parts.append(page[start:])
    return unescape(_TAG.sub(" ", " ".join(parts)))
