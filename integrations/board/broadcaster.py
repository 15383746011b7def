"""The parts of the page as they are now, sent to every viewer: one rendering for all.

A part is a piece of HTML with a name. Rendering belongs to `page`.
"""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator

import orjson

BEAT_SECONDS = 5.0
GATHER_SECONDS = 0.1
BEAT = b"event: beat\ndata: 1\n\n"


class Broadcaster:
    """Takes parts from any thread; streams run on the event loop, one coroutine per viewer and no thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[str, tuple[int, str]] = {}
        self._frames: dict[str, bytes] = {}
        self._version = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._ended = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the event loop on which streams run."""
        self._loop = loop

    def put(self, name: str, html: str) -> None:
        """Show a part. The same HTML again is not sent."""
        with self._lock:
            if name in self._parts and self._parts[name][1] == html:
                return
            self._version += 1
            self._parts[name] = (self._version, html)
            data = orjson.dumps({"name": name, "html": html})
            self._frames[name] = b"event: part\ndata: " + data + b"\n\n"
        self._wake_soon()

    def html(self, name: str) -> str:
        """A part as it is now; empty until it was first put."""
        return self._parts.get(name, (0, ""))[1]

    def snapshot(self) -> tuple[str, bytes]:
        """All parts as JSON, and a tag that changes with them."""
        with self._lock:
            body = orjson.dumps({name: html for name, (_, html) in self._parts.items()})
        return hashlib.sha256(body).hexdigest()[:24], body

    def end(self) -> None:
        """End every stream."""
        self._ended = True
        self._wake_soon()

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what one viewer gets: all parts, then every change, and a beat while nothing changes."""
        seen = 0
        yield b"retry: 1000\n\n"
        while not self._ended:
            news = self._news
            with self._lock:
                fresh = [self._frames[name] for name, (at, _) in self._parts.items() if at > seen]
                seen = self._version
            yield b"".join(fresh) or BEAT
            try:
                await asyncio.wait_for(news.wait(), BEAT_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                continue

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _wake_soon(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)
