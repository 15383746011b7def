"""One request on its way through: what the server read, and what the application found out about it.

The server puts an `Exchange` into the WSGI environment and makes `line` durable before it sends the answer, so that
no thread waits for the disk. Under any other WSGI server there is none, and the application does all of it itself.
"""

import itertools
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

ENVIRON_KEY = "aftercall.exchange"
# a letter at least, so that a phone number is no request id
_SANE = re.compile(r"(?=[0-9._=-]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._=-]{7,127}")


@dataclass(slots=True)
class Exchange:
    """`reason` says from a closed list why the answer is not 200. Keys of `headers` are lower case.

    `event_key` is the same for every delivery of one event; `is_repeat`: it was on disk often enough, so that this one
    was not landed.
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
    """The sender's id of a request if it is one that can be logged, else a new one: process and number, in hex."""
    if claimed is not None and _SANE.fullmatch(claimed):
        return claimed
    return f"{_process}-{next(_numbers):x}"
