"""Reading a request's body as JSON or as a form: what is accepted, and the reason when it is not.

Accepted is what RFC 8259 calls JSON, in UTF-8, nested at most 500 levels; a byte order mark is dropped. A form is
kept as JSON too: docs/decisions/0011 says how. What the values mean does not belong here.
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
"""Of a form: it is read before it is believed, since the fields are what is signed."""
_BOM = b"\xef\xbb\xbf"
# possessive, and without a need for the closing quote: a match that began never fails, so the time is linear
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_64_BITS = range(-(2**63), 2**64)
_64_BIT_DIGITS = 20
_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_INTEGER = b"0" * 19
"""The shortest integers that 64 bits cannot hold have 19 digits and a minus."""


class BadBody(ValueError):
    """The body is not JSON that can be kept; the message is for the sender and quotes nothing of the body."""


class BigInteger(float):
    """An integer that 64 bits cannot hold: the nearest float, and its digits as sent."""

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
    """The body's value; of duplicate keys the last wins, an integer over 64 bits is a `BigInteger`. Raises BadBody.

    Unpaired surrogate escapes are valid by grammar, and platforms that cut a text inside an emoji send
    them: they stay in the returned strings as they are.
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
    # orjson makes a float of a long integer, which has lost digits
    return _parse_by_grammar(body) if _LONG_INTEGER in body.translate(_TO_ZEROS) else value


@lru_cache(maxsize=64)
def kind_of(content_type: str) -> tuple[str, str]:
    """Media type and charset that a Content-Type header declares, in lower case."""
    kind, options = parse_options_header(content_type)
    return kind.lower(), options.get("charset", "utf-8").lower()


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """A form's names and values in their order, repeated ones too; what is no UTF-8 becomes U+FFFD. Raises BadBody."""
    try:
        return parse_qsl(_text(body), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        if isinstance(error, BadBody):
            raise
        raise BadBody(f"the form has more than {MAX_FIELDS} fields") from None


def parse_form(body: bytes) -> dict[str, Any]:
    """A form as the value that is kept of it: its fields by name, and the text itself, byte for byte. Raises BadBody.

    A name that stands several times has a list of its values.
    """
    if not body.strip():
        raise BadBody("the body is empty")
    values: dict[str, list[str]] = {}
    for name, value in form_fields(body):
        values.setdefault(name, []).append(value)
    fields = {name: several if len(several) > 1 else several[0] for name, several in values.items()}
    return {"form": fields, "encoded": _text(body)}


def _is_written_back(value: Any) -> bool:
    """Whether orjson writes the value, which it does down to 254 levels: five times faster than counting them."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _refuse_deep(body: bytes) -> None:
    if depth_over(body, MAX_DEPTH):
        raise BadBody(f"the body nests deeper than the limit of {MAX_DEPTH} levels")


def depth_over(body: bytes, limit: int) -> bool:
    """Whether brackets outside strings nest deeper than `limit`. Meaningless if the body is not JSON."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > limit:
            return True
    return False


def _parse_by_grammar(body: bytes) -> Any:
    """The slow road for what orjson refuses or rounds although it is JSON: unpaired surrogates, long integers."""
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
    """As orjson has it within 64 bits; beyond them int() would refuse thousands of digits."""
    if len(digits) <= _64_BIT_DIGITS and (exact := int(digits)) in _64_BITS:
        return exact
    return BigInteger(digits)
