"""The test event of `aftercall connect`: signed like the platform's own, stored like any other, part of no call.

Its body identifies it, since no other part of a request is signed by every platform. Posting it belongs to the command.
"""

from typing import Any
from urllib.parse import urlencode

import orjson

from receiver.body import FORM
from receiver.envelope import Facts
from receiver.sources.base import Source, identifier, mapping

EVENT_TYPE = "aftercall.connect"


def body(source: Source, identity: str) -> tuple[str, bytes]:
    """Content type and body of a test event with the id `identity`.

    The id's field is `call_id`, since one platform signs nothing else. It makes no call: see `facts`.
    """
    fields = {"event": EVENT_TYPE, "call_id": identity}
    if source.takes_forms:
        return FORM, urlencode(fields).encode()
    return source.setup.content_type, orjson.dumps(fields)


def facts(parsed: Any) -> Facts | None:
    """The facts of a test event, which has no call id; None for any other body."""
    fields = mapping(parsed)
    fields = mapping(fields.get("form")) or fields
    if fields.get("event") != EVENT_TYPE or fields.keys() != {"event", "call_id"}:
        return None
    return Facts(event_id=identifier(fields["call_id"]), event_type=EVENT_TYPE)
