"""Payloads as text: one spelling for equal content, so that a hash tells whether anything changed.

Whatever comes in can be written: what JSON cannot say (a lone surrogate, a number beyond 64 bits, NaN, depth
without end) is replaced, because one odd transcript must not stop the rows beside it.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS
_DEEPEST = 60


def encode(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Canonical JSON text of a payload (sorted keys; times as ISO 8601 UTC) and its SHA-256 in hex."""
    try:
        data = orjson.dumps(dict(payload), default=str, option=_OPTIONS)
    except TypeError:
        data = orjson.dumps(_repaired(payload, 0), default=str, option=_OPTIONS)
    return data.decode(), hashlib.sha256(data).hexdigest()


def decode(text: str) -> dict[str, Any]:
    """A payload back from its text."""
    value = orjson.loads(text)
    return value if isinstance(value, dict) else {}


def clean(text: str) -> str:
    """The text with what no database takes (lone surrogates, NUL) replaced by U+FFFD."""
    text = text.replace("\x00", "\ufffd")
    return (
        "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text) if _odd(text) else text
    )


def _odd(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _repaired(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean(value)
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {clean(str(key)): _repaired(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_repaired(item, depth + 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 63:
        return hex(value)
    return value
