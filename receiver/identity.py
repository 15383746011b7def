"""The identity of an event without an id of the platform's: what stays the same when the event is sent again.

The bytes do not: a repeat may carry newly signed addresses, or the number of the try. Which parts of a body identify an
event belongs to `receiver.sources`.
"""

import json
import re
from typing import Any

import orjson

Identity = tuple[Any, ...]
"""JSON values that identify one event of a source."""

# in JSON without spaces, where a backslash precedes a quote inside a text
_OF_ONE_TRY = re.compile(
    rb'"(?:(?:https?|wss?|s3|gs)://[^"]*'
    rb"|(?:presignedUrlsExpiresAt|presigned_urls_expires_at|attempt|attempt_number|attemptNumber|delivery_attempt"
    rb'|delivered_at|deliveredAt|delivered_to)":[^,}]*)'
)
_SIGNS = (b"://", b":\\/\\/", b"ttempt", b"elivered", b"xpires")
"""Every body that the pattern changes contains one of these; searching for them first is faster."""


def of_parts(identity: Identity) -> bytes:
    """An identity as bytes, independent of the order of its keys and of addresses in it."""
    return _without_try(canonical(list(identity)))


def of_body(value: Any, body: bytes) -> bytes:
    """The identity of an event without identifying parts: its body, or the stable part of it if it shows a try.

    `value` is the parsed body.
    """
    if any(sign in body for sign in _SIGNS):
        whole = canonical(value)
        stable = _without_try(whole)
        if stable != whole:
            return stable
    return body


def canonical(value: Any) -> bytes:
    """A JSON value as bytes, without spaces and with its keys in order."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half an emoji, an integer over 64 bits, more than 254 levels
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _without_try(text: bytes) -> bytes:
    return _OF_ONE_TRY.sub(b'"', text)
