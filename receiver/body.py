"""Parses a request's body, JSON or a form; raises the reason if it cannot.

JSON is what RFC 8259 allows, in UTF-8, at most 500 levels deep; a byte order mark is dropped. A form is stored as JSON
too (docs/decisions/0011). What the values mean does not belong here.
"""

import json
import re
from functools import lru_cache
from typing import Any, Self
from urllib.parse import parse_qsl

import orjson
from werkzeug.http import parse_options_header

FORM = "application/x-www-form-urlencoded"
MAX_DEPTH = 500
MAX_FIELDS = 1000
"""Limit for a form, which is parsed before its signature is checked: the signature covers the fields."""
_BOM = b"\xef\xbb\xbf"
# possessive, and without a need for the closing quote: a match that began never fails, so the time is linear
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_64_BITS = range(-(2**63), 2**64)
_64_BIT_DIGITS = 20
_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_INTEGER = b"0" * 19
"""The shortest integers that exceed 64 bits have 19 digits and a minus."""


class BadBody(ValueError):
    """The body cannot be stored. The message is for the sender and quotes nothing of the body."""


class BigInteger(float):
    """An integer over 64 bits: the nearest float, and the digits as sent."""

    digits: str

    def __new__(cls, digits: str) -> Self:
        """Of decimal digits, perhaps behind a minus."""
        number = super().__new__(cls, digits)
        number.digits = digits
        return number


def without_mark(body: bytes) -> bytes:
    """The body without a leading byte order mark, which would be no JSON inside a landing line."""
    return body.removeprefix(_BOM)


def parse(body: bytes) -> Any:
    """The JSON value of a body. Raises BadBody.

    The last of duplicate keys wins; an integer over 64 bits is a `BigInteger`. Unpaired surrogate escapes stay as they
    are: the grammar allows them, and platforms that cut a text inside an emoji send them.
    """
    if not body.strip():
        raise BadBody("the body is empty")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        _refuse_deep(body)
        return _parse_by_grammar(body)
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and not _is_written_back(value):
        _refuse_deep(body)
    # orjson turns a long integer into a float, which loses digits
    return _parse_by_grammar(body) if _LONG_INTEGER in body.translate(_TO_ZEROS) else value


@lru_cache(maxsize=64)
def kind_of(content_type: str) -> tuple[str, str]:
    """The media type and charset of a Content-Type header, in lower case."""
    kind, options = parse_options_header(content_type)
    return kind.lower(), options.get("charset", "utf-8").lower()


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """The names and values of a form, in order, repeats included; invalid UTF-8 becomes U+FFFD. Raises BadBody."""
    try:
        return parse_qsl(_text(body), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        if isinstance(error, BadBody):
            raise
        raise BadBody(f"the form has more than {MAX_FIELDS} fields") from None


def parse_form(body: bytes) -> dict[str, Any]:
    """The JSON value stored for a form: its fields by name, and its text as sent. Raises BadBody.

    A name that occurs more than once has a list of its values.
    """
    if not body.strip():
        raise BadBody("the body is empty")
    values: dict[str, list[str]] = {}
    for name, value in form_fields(body):
        values.setdefault(name, []).append(value)
    fields = {name: several if len(several) > 1 else several[0] for name, several in values.items()}
    return {"form": fields, "encoded": _text(body)}


def _is_written_back(value: Any) -> bool:
    """True if orjson can write the value, so at most 254 levels deep; five times faster than counting them."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _refuse_deep(body: bytes) -> None:
    if depth_over(body, MAX_DEPTH):
        raise BadBody(f"the body nests deeper than the limit of {MAX_DEPTH} levels")


def depth_over(body: bytes, limit: int) -> bool:
    """True if brackets outside strings nest deeper than `limit`. Meaningless if the body is not JSON."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > limit:
            return True
    return False


def _parse_by_grammar(body: bytes) -> Any:
    """Slow parser for JSON that orjson refuses or rounds: unpaired surrogates, long integers."""
    text = _text(body)
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise BadBody(f"the body is not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise BadBody("the body nests too deep") from None


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadBody(f"the body is not UTF-8: wrong byte at offset {error.start}") from None


def _refuse(name: str) -> Any:
    raise BadBody(f"the body is not JSON: {name} is not a JSON number")


def _integer(digits: str) -> int | BigInteger:
    """An int within 64 bits, as from orjson. Beyond that a `BigInteger`: int() refuses thousands of digits."""
    if len(digits) <= _64_BIT_DIGITS and (exact := int(digits)) in _64_BITS:
        return exact
    return BigInteger(digits)
