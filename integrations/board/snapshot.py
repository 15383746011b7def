"""The live state on disk, so that a restart has little to read: one line of JSON, then the marks of the calls.

Only ever a copy of what the landing store says; one that is torn, or older than its reader understands, is none.
"""

import contextlib
import logging
import zlib
from pathlib import Path

import orjson

from integrations.board.live import Live

LOG = logging.getLogger("aftercall.board")
_FORM = 2

Positions = dict[str, int]
"""How far each segment was read."""


def keep(path: Path, live: Live, positions: Positions) -> None:
    """Write the state beside and put it in place; a disk that does not take it is only logged."""
    state, marks = live.dump()
    head = orjson.dumps({"form": _FORM, "sum": zlib.crc32(marks), "positions": positions} | state)
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.touch(mode=0o600)
        fresh.write_bytes(head + b"\n" + marks)
        fresh.replace(path)
    except OSError as error:
        LOG.warning("the board's snapshot cannot be written: %s", error.strerror)


def restore(path: Path, live: Live) -> Positions | None:
    """Put the state that was kept into an empty `live`, and return how far it came; None if there is none of use."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        head, _, marks = path.read_bytes().partition(b"\n")
        kept = orjson.loads(head)
        is_whole = kept.pop("form") == _FORM and kept.pop("sum") == zlib.crc32(marks)
        positions = {str(segment): int(position) for segment, position in kept.pop("positions").items()}
        if is_whole and live.restore(kept, marks):
            return positions
    return None
