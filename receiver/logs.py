"""The receiver's log: one JSON object per line on standard error, without any content of a body.

Lines about requests are collected and written ten times a second: a write per request would release and reacquire the
interpreter's lock per request. Callers decide what is worth a line.
"""

import contextlib
import hashlib
import logging
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

LOGGERS = ("aftercall", "_granian")
FLUSH_SECONDS = 0.1
"""Longest delay of a line about a request."""
_GATHERED_BYTES = 1 << 16
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def configure() -> "Log":
    """Send every log record of this process to standard error as JSON."""
    log = Log(sys.stderr.fileno())
    handler = _Handler(log.fd)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("aftercall").setLevel(logging.INFO)
    return log


def of_granian() -> dict[str, Any]:
    """A `log_dictconfig` for granian: the supervising process logs in the same form as its workers."""
    return {
        "handlers": {"json": {"()": _Handler, "fd": sys.stderr.fileno()}},
        "loggers": {"_granian": {"handlers": ["json"], "propagate": False}},
    }


def digest(event_id: str | None) -> str | None:
    """An event's id for the log: an id of ours, or the digest of a platform's id, which may hold anything."""
    if event_id is None or _DIGEST.fullmatch(event_id):
        return event_id
    return "sha256:" + hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()


class Log:
    """Collects lines for one file descriptor. For use by one thread."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._lines: list[bytes] = []
        self._size = 0

    def write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Collect a line."""
        line = _line(level, message, fields)
        self._lines.append(line)
        self._size += len(line)
        if self._size > _GATHERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the collected lines."""
        if self._lines:
            lines, self._lines, self._size = self._lines, [], 0
            _write(self.fd, b"".join(lines))


class _Handler(logging.Handler):
    """Writes records of any thread at once. Of an exception it writes type and places, not the message."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            frames = traceback.extract_tb(error.__traceback__)
            fields["error"] = type(error).__name__
            fields["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        _write(self._fd, _line(record.levelname.lower(), record.getMessage(), fields))


def _line(level: str, message: str, fields: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {"time": datetime.now(UTC), "level": level, "message": message, **fields},
        option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
        default=str,
    )


def _write(fd: int, data: bytes) -> None:
    """Write all of `data`; a closed pipe or a full disk must not stop the receiver."""
    rest = memoryview(data)
    with contextlib.suppress(OSError):
        while rest:
            rest = rest[os.write(fd, rest) :]
