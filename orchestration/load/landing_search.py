"""Finding one call's lines in the landing store: their place, their envelope, their bytes.

Looks for the call's id in the bytes before it parses anything, so a whole store is read at the speed of the disk.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from receiver.envelope import safe_id
from receiver.landing import LandingStore, Segment

_PAYLOAD = b',"payload":'


@dataclass(frozen=True)
class LandedLine:
    """A line and where it stands: byte `offset` of the segment as it landed. `line` ends in a newline."""

    segment: str
    offset: int
    line: bytes
    envelope: dict[str, Any]


def lines_of(
    store: LandingStore,
    call_id: str,
    segments: Iterable[Segment],
    source: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[LandedLine]:
    """Lines of a call in the given segments, in order; of one source, or of any. `advance` gets bytes read."""
    known_as = safe_id(call_id)
    if known_as is None:
        return
    needle = orjson.dumps(known_as)
    for piece in store.read_all((segment, 0) for segment in segments):
        for offset, line in _lines_with(needle, piece.data):
            envelope = envelope_of(line)
            if envelope.get("call_id") == known_as and source in (None, envelope.get("source")):
                yield LandedLine(piece.segment.path, piece.offset + offset, line, envelope)
        advance(len(piece.data))


def envelope_of(line: bytes) -> dict[str, Any]:
    """The fields of a landing line before its payload; empty if it is none.

    The payload stays unread: it may hold what a strict parser refuses (half an emoji), and it may be long.
    """
    head, separator, _ = line.partition(_PAYLOAD)
    try:
        parsed = orjson.loads(head + b"}" if separator else line)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _lines_with(needle: bytes, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Whole lines that hold the needle, each once, with their offsets."""
    position = data.find(needle)
    while position != -1:
        begin = data.rfind(b"\n", 0, position) + 1
        end = data.index(b"\n", position) + 1
        yield begin, data[begin:end]
        position = data.find(needle, end)
