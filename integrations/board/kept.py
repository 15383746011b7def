"""The digest of a segment's first lines, kept beside it in the landing store so that they need not be read again.

A line with a checksum, one of JSON, one of marks, then the calls they belong to. It is only ever a copy of what the
lines say: one that is missing, torn, of another form or of another segment is none, and then the lines are read.
"""

import contextlib
import zlib
from dataclasses import astuple

import orjson

from integrations.board.call_state import Detail, Digest, digest_of
from integrations.board.durations import Span
from receiver.landing import LandingStore, Segment, SegmentDamaged

_FORM = 2
_PIECE = 8 << 20


def keep(store: LandingStore, path: str, more: Digest) -> None:
    """Add to what is kept of a segment.

    Raises FileNotFoundError when it is gone, OSError when the disk fails.
    """
    kept = load(store, path) or Digest()
    if more.begin <= kept.end < more.end:
        kept.add(more)
        store.keep_digest(path, _dump(path, kept))


def complete(store: LandingStore, segment: Segment) -> None:
    """Keep a digest of a whole segment, for which only those lines are read that the one there does not know.

    Raises SegmentDamaged when it cannot be read, FileNotFoundError when it is gone, otherwise like `keep`.
    """
    kept = load(store, segment.path) or Digest()
    begin = kept.end
    while (chunk := store.read(segment.path, kept.end, _PIECE)).data:
        kept.add(digest_of(chunk.data, kept.end))
    if kept.end > begin:
        store.keep_digest(segment.path, _dump(segment.path, kept))


def load(store: LandingStore, path: str) -> Digest | None:
    """What is kept of a segment, if it is whole and the segment has the line where it ends."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, SegmentDamaged):
        kept = _parse(path, store.digest(path))
        if kept is not None and kept.end > kept.last_at:
            last = store.read(path, kept.last_at, kept.end - kept.last_at)
            if last.next_offset == kept.end and zlib.crc32(last.data) == kept.last_sum:
                return kept
    return None


def _dump(path: str, digest: Digest) -> bytes:
    digest.trim()
    for detail in digest.details.values():
        detail.find_agent()
    head = orjson.dumps(
        {
            "form": _FORM,
            "segment": path,
            "end": digest.end,
            "last": [digest.last_at, digest.last_sum],
            "times": [digest.first.decode(), digest.newest.decode()],
            "sources": {name.decode(): at.decode() for name, at in digest.sources.items()},
            "told": [[key.decode(), bit, at.decode()] for (key, bit), at in digest.told.items()],
            "receipts": {part.decode(): at.decode() for part, at in digest.receipts.items()},
            "details": {
                key.decode(): [
                    *(each.phone, each.direction, each.agent, each.occurred, each.received),
                    [[bit, *astuple(span)] for bit, span in each.spans.items()],
                ]
                for key, each in digest.details.items()
            },
        }
    )
    body = b"\n".join((head, bytes(digest.marks.values()).hex().encode(), *digest.marks))
    return b"%08x\n" % zlib.crc32(body) + body


def _parse(path: str, data: bytes) -> Digest | None:
    """None, or an error that `load` passes over, when it is not of this form."""
    if data[:9] != b"%08x\n" % zlib.crc32(memoryview(data)[9:]):
        return None
    head, values, *keys = data[9:].split(b"\n")
    kept = orjson.loads(head)
    if kept["form"] != _FORM or kept["segment"] != path:
        return None
    last_at, last_sum = kept["last"]
    first, newest = kept["times"]
    return Digest(
        end=kept["end"],
        last_at=last_at,
        last_sum=last_sum,
        first=first.encode(),
        newest=newest.encode(),
        sources={name.encode(): at.encode() for name, at in kept["sources"].items()},
        marks=dict(zip(keys, bytes.fromhex(values.decode()), strict=True)),
        told={(key.encode(), bit): at.encode() for key, bit, at in kept["told"]},
        receipts={part.encode(): at.encode() for part, at in kept["receipts"].items()},
        details={key.encode(): _detail(*known) for key, known in kept["details"].items()},
    )


def _detail(
    phone: str | None,
    direction: str | None,
    agent: str | None,
    occurred: str | None,
    received: str | None,
    spans: list[tuple[int, str, float | None, str | None, str | None]],
) -> Detail:
    of_events = {bit: Span(at, seconds, started, ended) for bit, at, seconds, started, ended in spans}
    return Detail(phone, direction, agent, occurred, received, spans=of_events)
