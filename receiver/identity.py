"""The identity of an event whose platform gives it no id: what stays the same when the platform sends the event again.

The bytes of a delivery are not its identity: a repeat may carry addresses that were signed anew, or the number of the
try. Which parts of a body name an event belongs to `receiver.sources`.
"""

import json
import re
from typing import Any

import orjson

Identity = tuple[Any, ...]
"""JSON values that name one event of a source."""

# in JSON without spaces, where a quote inside a text has a backslash before it
_OF_ONE_TRY = re.compile(
    rb'"(?:(?:https?|wss?|s3|gs)://[^"]*'
    rb"|(?:presignedUrlsExpiresAt|presigned_urls_expires_at|attempt|attempt_number|attemptNumber|delivery_attempt"
    rb'|delivered_at|deliveredAt|delivered_to)":[^,}]*)'
)
_SIGNS = (b"://", b":\\/\\/", b"ttempt", b"elivered", b"xpires")
"""One of these stands in every body that the pattern changes."""


def of_parts(identity: Identity) -> bytes:
    """The bytes that stand for an identity, whatever the order of its keys and the addresses in it."""
    return _without_try(canonical(list(identity)))


def of_body(value: Any, body: bytes) -> bytes:
    """The bytes that stand for an event which nothing names: the body, or what stays the same of it if it shows a try.

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
