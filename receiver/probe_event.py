"""The trial delivery of `aftercall connect`: signed as the platform signs, kept as any other, and no event of a call.

It is known by its body, the only part of a request that every platform signs. How it is posted belongs to the command.
"""

from typing import Any
from urllib.parse import urlencode

import orjson

from receiver.body import FORM
from receiver.envelope import Facts
from receiver.sources.base import Source, identifier, mapping

EVENT_TYPE = "aftercall.connect"


def body(source: Source, identity: str) -> tuple[str, bytes]:
    """Content type and body of a trial; its event will have the id `identity`.

    The id is named `call_id` since one platform signs nothing else; no call is made of it, see `facts`.
    """
    fields = {"event": EVENT_TYPE, "call_id": identity}
    if source.takes_forms:
        return FORM, urlencode(fields).encode()
    return source.setup.content_type, orjson.dumps(fields)


def facts(parsed: Any) -> Facts | None:
    """The facts of a trial, which has no call id; None if the body is a platform's own."""
    fields = mapping(parsed)
    fields = mapping(fields.get("form")) or fields
    if fields.get("event") != EVENT_TYPE or fields.keys() != {"event", "call_id"}:
        return None
    return Facts(event_id=identifier(fields["call_id"]), event_type=EVENT_TYPE)
