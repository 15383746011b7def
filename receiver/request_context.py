"""One request: what the server read of it, and what the application learned from it.

The server puts a `RequestContext` into the WSGI environment and makes `line` durable before it sends the answer, so
that no thread waits for the disk. Another WSGI server provides none, and the application then writes the line itself.
"""

import itertools
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

ENVIRON_KEY = "aftercall.context"
# requires a letter, so that no phone number passes as a request id
_SANE = re.compile(r"(?=[0-9._=-]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._=-]{7,127}")


@dataclass(slots=True)
class RequestContext:
    """Keys of `headers` are lower case. `reason`, from a closed list, says why the answer is not 200.

    `event_key` is the same for every delivery of one event. `is_repeat`: the event was on disk often enough, so this
    delivery was not written.
    """

    request_id: str
    headers: Mapping[str, str]
    body: bytes = b""
    source: str = "unknown"
    event_id: str | None = None
    event_type: str | None = None
    reason: str | None = None
    line: bytes | None = None
    event_key: bytes = b""
    is_repeat: bool = False


_numbers = itertools.count(1)
_process = secrets.token_hex(8)


def _begin_process() -> None:
    global _process
    _process = secrets.token_hex(8)


os.register_at_fork(after_in_child=_begin_process)


def request_id(claimed: str | None) -> str:
    """The sender's request id if it is safe to log, else a new one: process and number, in hex."""
    if claimed is not None and _SANE.fullmatch(claimed):
        return claimed
    return f"{_process}-{next(_numbers):x}"
