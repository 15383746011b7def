"""Receives bodies within limits of size, time and memory.

A body that is still arriving holds a coroutine, not a thread. Parsing belongs to `receiver.body`.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from granian.rsgi import HTTPProtocol, ProtocolClosed, ProtocolError  # type: ignore[attr-defined]

from receiver.http_errors import HttpError, busy, too_large

SMALL_BYTES = 64 << 10
"""Bodies declared up to this size are always read; larger ones share a memory budget."""


class BodyReader:
    """Reads the bodies of one process."""

    def __init__(self, limit: int, total: int, seconds: float) -> None:
        """`limit`: bytes per body; `total`: bytes of large bodies in memory at once; `seconds`: time per body."""
        self._limit = limit
        self._total = total
        self._seconds = seconds
        self._held = 0
        self._reading: dict[object, tuple[float, asyncio.Task[Any] | None]] = {}

    def refuse_too_large(self, headers: Mapping[str, str]) -> None:
        """Raise HttpError (413) if the declared length exceeds the limit, before a byte is read."""
        if (_declared(headers) or 0) > self._limit:
            raise too_large(self._limit)

    async def read(self, protocol: HTTPProtocol, headers: Mapping[str, str]) -> bytes:
        """The whole body. Raises HttpError: 400 cut off, 408 too slow, 413 too large, 503 no room for large bodies."""
        declared = _declared(headers)
        reading = object()
        self._reading[reading] = (time.monotonic(), asyncio.current_task())
        try:
            if declared is not None and declared <= SMALL_BYTES:
                return bytes(await protocol())
            return await self._large(protocol)
        except (ProtocolError, ProtocolClosed):
            raise HttpError(400, "the body ended before its declared length") from None
        except asyncio.CancelledError:  # by the sweep
            raise HttpError(408, f"the body did not arrive within {self._seconds:g} s") from None
        finally:
            del self._reading[reading]

    def sweep(self) -> None:
        """Cancel bodies that took too long. Call this at regular intervals."""
        limit = time.monotonic() - self._seconds
        for since, task in list(self._reading.values()):
            if since > limit or task is None:
                break  # in order of arrival: the rest is younger
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
        # granian yields one empty part at the end, and a second one if an error came first
        if ends > 1:
            raise HttpError(400, "the body ended before its last byte")
        return b"".join(parts)


def _declared(headers: Mapping[str, str]) -> int | None:
    """The declared length in bytes; None if the body is in chunks."""
    length = headers.get("content-length")
    if "transfer-encoding" in headers or length is None:
        return None
    if not length.isdecimal():
        raise HttpError(400, "Content-Length is not one number")
    return int(length)
