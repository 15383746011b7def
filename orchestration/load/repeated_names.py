"""JSON objects in which a name stands twice, written anew with its last value, as RFC 8259 parsers read them.

DuckDB's JSON functions take the first value of such a name; the envelope and everything else in Python take the last.
The landing store keeps the body as sent. Which texts these are belongs to `lines.py`.
"""

import json
from typing import Any

import orjson


def without_repeated_names(text: bytes) -> bytes | None:
    """The JSON text with each name once in its object; None if that is so already.

    `text` is written as DuckDB and orjson both do: no spaces, and no escapes but the necessary ones.
    """
    try:
        # each name takes two quotes; what has been dropped is missing
        if orjson.dumps(orjson.loads(text)).count(b'"') == text.count(b'"'):
            return None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass  # deeper than orjson goes: the slow road tells
    try:
        return _written_anew(text)
    except (ValueError, RecursionError):
        return None


class _Json(str):
    """A text that is JSON already."""

    __slots__ = ()


def _written_anew(text: bytes) -> bytes | None:
    is_repeated = False

    def written(pairs: list[tuple[str, Any]]) -> _Json:
        nonlocal is_repeated
        last = dict(pairs)
        is_repeated = is_repeated or len(last) < len(pairs)
        return _Json("{" + ",".join([f"{_json(name)}:{_json(value)}" for name, value in last.items()]) + "}")

    # numbers stay as they are written, digit for digit
    value = json.loads(text, object_pairs_hook=written, parse_int=_Json, parse_float=_Json)
    return _json(value).encode() if is_repeated else None


def _json(value: Any) -> str:
    if isinstance(value, _Json):
        return value
    if isinstance(value, list):
        items = []
        for item in value:  # one frame a level: lists may nest as deep as bodies do
            items.append(_json(item))
        return "[" + ",".join(items) + "]"
    return json.dumps(value, ensure_ascii=False)
