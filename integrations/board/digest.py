"""What lines of the landing store told of calls: a sum in which neither the order of lines nor repetition counts.

How one is kept beside its segment belongs to `kept`; what a day is, and what is shown, to `live`.
"""

import zlib
from dataclasses import dataclass, field

from integrations.board.envelope import ANALYTICS, CALL_END, CALL_START, agent_of, heads, text

START, END, DONE = 1, 2, 4
OVER = END | DONE
FEED = 1000
"""So many happenings are remembered, so that an analysis some minutes later still knows whose call it was."""
FEED_ROOM = 4 * FEED
_KINDS = {
    b'"%s"' % kind.encode(): bit for kind, bit in ((CALL_START, START), (CALL_END, END), (ANALYTICS, DONE))
}
_SMALL = 64 << 10

Happened = tuple[bytes, int]
"""A call's key, and what was said of it."""
Fields = tuple[bytes, ...]


@dataclass(slots=True)
class Detail:
    """What is told of a call that is shown, as the lines have it; `occurred` and `received` are those of its start."""

    phone: str | None = None
    direction: str | None = None
    agent: str | None = None
    occurred: str | None = None
    received: str | None = None
    payload: bytes = b""

    def add(self, other: "Detail") -> None:
        """Take in what else is known; a start that was sent twice counts from its first receipt."""
        self.phone = self.phone or other.phone
        self.direction = self.direction or other.direction
        self.agent = self.agent or other.agent
        self.payload = self.payload or other.payload
        if other.received and (not self.received or other.received < self.received):
            self.occurred, self.received = other.occurred, other.received

    def find_agent(self) -> None:
        """Read the body, which is then let go of."""
        if self.payload:
            self.agent, self.payload = self.agent or agent_of(self.payload), b""


@dataclass(slots=True)
class Digest:
    """What the lines of a segment between two offsets told. A call's key is its source and id, as the line has them.

    `first` and `newest`: the receipts between which something was told of calls, be it for the second time. `told`: the receipt of the newest
    happenings, each for the first time. `details`: of calls in it, and of those that started here and did not end here.
    """

    begin: int = 0
    end: int = 0
    last_at: int = 0
    last_sum: int = 0
    first: bytes = b""
    newest: bytes = b""
    sources: dict[bytes, bytes] = field(default_factory=dict)
    marks: dict[bytes, int] = field(default_factory=dict)
    told: dict[Happened, bytes] = field(default_factory=dict)
    details: dict[bytes, Detail] = field(default_factory=dict)

    def add(self, other: "Digest") -> None:
        """Take in another of the same segment, which begins no later than this one ends."""
        for source, received in other.sources.items():
            self.sources[source] = max(received, self.sources.get(source, b""))
        if other.marks:
            self.first = min(self.first or other.first, other.first)
            self.newest = max(self.newest, other.newest)
        for (key, bit), received in other.told.items():
            if (key, bit) in self.told:
                self.told[key, bit] = min(self.told[key, bit], received)
            elif not self.marks.get(key, 0) & bit:
                self.told[key, bit] = received
        for key, bits in other.marks.items():
            self.marks[key] = self.marks.get(key, 0) | bits
        for key, detail in other.details.items():
            self.details.setdefault(key, Detail()).add(detail)
        if other.end > self.end:
            self.end, self.last_at, self.last_sum = other.end, other.last_at, other.last_sum
        if len(self.told) > FEED_ROOM:
            self.trim()

    def trim(self) -> None:
        """Keep what the form keeps, and no more."""
        self.told = newest_of(self.told)
        shown = {key for key, _ in self.told}
        for key, detail in list(self.details.items()):
            if not self._is_open(key):
                detail.agent, detail.payload = None, b""
                if key not in shown:
                    del self.details[key]

    def _is_open(self, key: bytes) -> bool:
        return self.marks[key] & (START | OVER) == START


def newest_of(told: dict[Happened, bytes]) -> dict[Happened, bytes]:
    """The newest happenings, the oldest of them first."""
    return dict(sorted(told.items(), key=lambda item: (item[1], item[0]))[-FEED:])


def digest_of(data: bytes, begin: int = 0, since: bytes = b"", until: bytes = b"") -> Digest:
    """What whole lines told that begin at an offset; of those received within a time, where one is given."""
    found = Digest(begin=begin, end=begin + len(data))
    marks, sources = found.marks, found.sources
    seen: dict[Happened, Fields] = {}
    bodies: dict[bytes, tuple[int, int]] = {}
    for fields, body_from, body_to in heads(data):
        _, source, kind, call_id, _, received, _, _ = fields
        if received > sources.get(source, b""):
            sources[source] = received
        bit = _KINDS.get(kind)
        if bit is None or call_id == b"null" or received < since or (until and received >= until):
            continue
        if received > found.newest:
            found.newest = received
        if received < found.first or not found.first:
            found.first = received
        key = source + call_id
        had = marks.get(key, 0)
        if had & bit and seen[key, bit][5] <= received:
            continue
        marks[key] = had | bit
        seen[key, bit] = fields
        if bit == START:
            bodies[key] = body_from, body_to
    received_at = {happened: fields[5] for happened, fields in seen.items()}
    found.told = newest_of(received_at)
    for key in {key for key, _ in found.told} | {key for key in bodies if not marks[key] & OVER}:
        found.details[key] = detail = Detail()
        for bit in (START, END, DONE):
            if (key, bit) in seen:
                _learn(detail, bit, seen[key, bit])
        if key in bodies and not marks[key] & OVER:
            body_from, body_to = bodies[key]
            detail.payload = data[body_from:body_to] if body_to - body_from < _SMALL else b""
    _stamp(found, data)
    return found


def _learn(detail: Detail, bit: int, fields: Fields) -> None:
    *_, occurred, received, phone, way = fields
    detail.phone = detail.phone or text(phone)
    detail.direction = detail.direction or text(way)
    if bit == START:
        detail.occurred, detail.received = text(occurred), text(received)


def _stamp(found: Digest, data: bytes) -> None:
    """The last line is what a segment is known by."""
    last = data.rfind(b"\n", 0, max(len(data) - 1, 0)) + 1
    found.last_at, found.last_sum = found.begin + last, zlib.crc32(data[last:])
