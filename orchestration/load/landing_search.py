"""Finding one call's lines in the landing store: their place, their event, their bytes.

Looks for the call's id in the bytes before it parses anything, so a whole store is read at the speed of the disk.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import orjson

from receiver.envelope import LandedEvent, read_line, safe_id
from receiver.landing import LandingStore, Segment


@dataclass(frozen=True)
class LandedLine:
    """A line and where it stands: byte `offset` of the segment as it landed. `line` ends in a newline."""

    segment: str
    offset: int
    line: bytes
    event: LandedEvent


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
            event = read_line(line)
            if event and event.call_id == known_as and source in (None, event.source):
                yield LandedLine(piece.segment.path, piece.offset + offset, line, event)
        advance(len(piece.data))


def _lines_with(needle: bytes, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Whole lines that hold the needle, each once, with their offsets."""
    position = data.find(needle)
    while position != -1:
        begin = data.rfind(b"\n", 0, position) + 1
        end = data.index(b"\n", position) + 1
        yield begin, data[begin:end]
        position = data.find(needle, end)
