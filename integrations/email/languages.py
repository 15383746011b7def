"""Which languages a mail may be written in, given the tag of the call; and how text of both directions keeps apart.

The words of a language are its templates.
"""

import re
import unicodedata

from markupsafe import Markup, escape

DEFAULT = "en"
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}")
# ISO 639 languages written from right to left, whatever the region.
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})
_ISOLATE, _LEFT_TO_RIGHT, _END = "\u2068", "\u2066", "\u2069"


def candidates(tag: object) -> tuple[str, ...]:
    """Languages to look for, the closest first, English last: `de_at` → `de-AT`, `de`, `en` (RFC 4647, lookup)."""
    text = str(tag or "").strip()
    parts = _cased(text) if _TAG.fullmatch(text) else []
    tags = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return (*tags, *(() if DEFAULT in tags else (DEFAULT,)))


def direction(language: str) -> str:
    """`rtl` or `ltr`."""
    return "rtl" if language.partition("-")[0] in _RIGHT_TO_LEFT else "ltr"


def isolated(text: str, language: str, *, html: bool) -> str:
    """A stranger's words inside a sentence: kept apart where their direction may differ from the sentence's."""
    mixed = direction(language) == "rtl" or any(
        unicodedata.bidirectional(char) in ("R", "AL") for char in text
    )
    if not text or not mixed:
        return text
    return Markup(f"<bdi>{escape(text)}</bdi>") if html else f"{_ISOLATE}{text}{_END}"  # noqa: S704 - escaped


def phone(number: str, language: str, *, html: bool) -> str:
    """A phone number that is read from left to right everywhere; in HTML it can be tapped."""
    if not number:
        return ""
    if html:
        dialled = re.sub(r"[^+0-9]", "", number)
        return Markup(  # noqa: S704 - its parts are escaped
            f'<a href="tel:{dialled}" dir="ltr" style="color:inherit;white-space:nowrap">{escape(number)}</a>'
        )
    return f"{_LEFT_TO_RIGHT}{number}{_END}" if direction(language) == "rtl" else number


def _cased(tag: str) -> list[str]:
    """Subtags as BCP 47 writes them: `zh_hant_tw` → `zh`, `Hant`, `TW`."""
    first, *others = re.split(r"[-_]", tag)
    return [first.lower(), *(_subtag(other) for other in others)]


def _subtag(text: str) -> str:
    if len(text) == 4 and text.isalpha():
        return text.title()
    return text.upper() if len(text) == 2 else text.lower()
