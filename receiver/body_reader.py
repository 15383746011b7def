"""Reading bodies that strangers send: no larger, no slower and no more at once than the settings allow.

A body that is still on its way costs a coroutine, not a thread. What a body says does not belong here.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from granian.rsgi import HTTPProtocol, ProtocolClosed, ProtocolError  # type: ignore[attr-defined]

from receiver.http_errors import Problem, busy, too_large

SMALL_BYTES = 64 << 10
"""A body declared no larger than this is always read; larger ones share what may be held in memory."""


class Reader:
    """The bodies that one process is reading."""

    def __init__(self, limit: int, total: int, seconds: float) -> None:
        """At most `limit` bytes a body, `total` bytes of large ones at the same time, `seconds` for each."""
        self._limit = limit
        self._total = total
        self._seconds = seconds
        self._held = 0
        self._reading: dict[object, tuple[float, asyncio.Task[Any] | None]] = {}

    def refuse_too_large(self, headers: Mapping[str, str]) -> None:
        """Refuse, before a byte is read, what is declared over the limit."""
        if (_declared(headers) or 0) > self._limit:
            raise too_large(self._limit)

    async def read(self, protocol: HTTPProtocol, headers: Mapping[str, str]) -> bytes:
        """The whole body. Raises Problem: 400 torn, 408 too slow, 413 too large, 503 too many large ones."""
        declared = _declared(headers)
        reading = object()
        self._reading[reading] = (time.monotonic(), asyncio.current_task())
        try:
            if declared is not None and declared <= SMALL_BYTES:
                return bytes(await protocol())
            return await self._large(protocol)
        except (ProtocolError, ProtocolClosed):
            raise Problem(400, "the body ended before its declared length") from None
        except asyncio.CancelledError:  # by the sweep
            raise Problem(408, f"the body did not arrive within {self._seconds:g} s") from None
        finally:
            del self._reading[reading]

    def sweep(self) -> None:
        """End the reading of bodies that do not come. To be called now and then."""
        limit = time.monotonic() - self._seconds
        for since, task in list(self._reading.values()):
            if since > limit or task is None:
                break  # they stand in order of their beginning
            task.cancel()

    async def _large(self, protocol: HTTPProtocol) -> bytes:
        parts: list[bytes] = []
        size = ends = 0
        try:
            async for part in protocol:
                parts.append(part)
                size += len(part)
                self._held += len(part)
                ends += not part
                if size > self._limit:
                    raise too_large(self._limit)
                if self._held > self._total:
                    raise busy()
        finally:
            self._held -= size
        # granian gives one empty part for the end, and one more for an error before it
        if ends > 1:
            raise Problem(400, "the body ended before its last byte")
        return b"".join(parts)


def _declared(headers: Mapping[str, str]) -> int | None:
    """The declared length in bytes; None if the body is in chunks."""
    length = headers.get("content-length")
    if "transfer-encoding" in headers or length is None:
        return None
    if not length.isdecimal():
        raise Problem(400, "Content-Length is not one number")
    return int(length)
