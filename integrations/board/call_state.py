"""What lines of the landing store told of calls: a sum in which neither the order of lines nor repetition counts.

How one is kept beside its segment belongs to `kept`; what a day is, and what is shown, to `live`.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from integrations.board.durations import Span, span_of
from integrations.board.envelope import ANALYTICS, CALL_END, CALL_START, agent_of, heads, text
from receiver.sources import SOURCES

START, END, DONE, LATE_END, LATE_DONE = 1, 2, 4, 8, 16
"""What can be told of a call; the last two by a recovered event, which counts only with its call's start (`meant`)."""
OVER = END | DONE
BITS = 5
FEED = 1000
"""So many happenings are remembered, so that an analysis some minutes later still knows whose call it was."""
FEED_ROOM = 4 * FEED
_KINDS = {
    b'"%s"' % kind.encode(): bit for kind, bit in ((CALL_START, START), (CALL_END, END), (ANALYTICS, DONE))
}
_ENDED_BY_ANALYTICS = {
    b'"%s"' % name.encode() for name, source in SOURCES.items() if source.analytics_end_the_call
}
_ONE = {bit: (bit,) for bit in (START, END, DONE)}
_LATE = {START: (START,), END: (LATE_END,), DONE: (LATE_DONE,)}
_PLAIN = {START: START, END: END, DONE: DONE, LATE_END: END, LATE_DONE: DONE}
_NEVER = b"\xff"
_RECOVERED = b'"recovered:'
_SMALL = 64 << 10
_WHILE = slice(0, 19)
"""Receipts are told by ten seconds: so much of one says which."""

Happened = tuple[bytes, int]
"""A call's key, and what was said of it."""
Fields = tuple[bytes, ...]


@dataclass(slots=True)
class Detail:
    """What is told of a call that is shown, as the lines have it; `occurred` and `received` are those of its start.

    `spans`: by END and DONE, what that event says of the call's length.
    """

    phone: str | None = None
    direction: str | None = None
    agent: str | None = None
    occurred: str | None = None
    received: str | None = None
    payload: bytes = b""
    spans: dict[int, Span] = field(default_factory=dict)
    source: str = ""

    def add(self, other: "Detail") -> None:
        """Take in what else is known; a start that was sent twice counts from its first receipt."""
        self.phone = self.phone or other.phone
        self.direction = self.direction or other.direction
        self.agent = self.agent or other.agent
        self.payload = self.payload or other.payload
        self.source = self.source or other.source
        if other.received and (not self.received or other.received < self.received):
            self.occurred, self.received = other.occurred, other.received
        for bit, span in other.spans.items():
            if bit not in self.spans or span.received < self.spans[bit].received:
                self.spans[bit] = span

    def find_agent(self) -> None:
        """Read the body, which is then let go of."""
        if self.payload:
            self.agent, self.payload = self.agent or agent_of(self.source, self.payload), b""


@dataclass(slots=True)
class Digest:
    """What the lines of a segment between two offsets told. A call's key is its source and id, as the line has them.

    `first` and `newest`: the receipts between which something was told of calls, be it for the second time. `told`: the
    receipt of the newest happenings, each for the first time. `receipts`: the first in every ten seconds, of
    whatever was told. `details`: of calls in `told`, and of those that started here and did not end here.
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
    receipts: dict[bytes, bytes] = field(default_factory=dict)
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
            elif not meant(self.marks.get(key, 0)) & bit:
                self.told[key, bit] = received
        for received in other.receipts.values():
            add_receipt(self.receipts, received)
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
        return meant(self.marks[key]) & (START | OVER) == START


def meant(bits: int) -> int:
    """What the marks of a call say; recovered events of one that did not start here are history and say nothing."""
    return bits & (START | OVER) | (bits >> 2 & OVER if bits & START else 0)


def add_receipt(known: dict[bytes, bytes], received: bytes) -> None:
    """Keep the first receipt in every ten seconds."""
    had = known.setdefault(received[_WHILE], received)
    if received < had:
        known[received[_WHILE]] = received


def newest_of(told: dict[Happened, bytes]) -> dict[Happened, bytes]:
    """The newest happenings, the oldest of them first."""
    return dict(sorted(told.items(), key=lambda item: (item[1], item[0]))[-FEED:])


def digest_of(
    data: bytes,
    begin: int = 0,
    since: bytes = b"",
    until: bytes = b"",
    is_old: Callable[[Happened, bytes], bool] = lambda _, __: False,
) -> Digest:
    """What whole lines told that begin at an offset; of those received within a time, where one is given.

    `is_old` says of a happening and its receipt whether it was told earlier, elsewhere: among thousands of repeats
    the news would else not be among the newest.
    """
    found = Digest(begin=begin, end=begin + len(data))
    marks, sources = found.marks, found.sources
    seen: dict[Happened, Fields] = {}
    bodies: dict[Happened, tuple[int, int]] = {}
    for fields, body_from, body_to in heads(data):
        event_id, source, kind, call_id, _, received, _, _ = fields
        is_late = event_id.startswith(_RECOVERED)
        if received > sources.get(source, b"") and not is_late:
            sources[source] = received
        said = _KINDS.get(kind)
        if said is None or call_id == b"null" or received < since or (until and received >= until):
            continue
        if received > found.newest:
            found.newest = received
        if received < found.first or not found.first:
            found.first = received
        if not is_late:
            add_receipt(found.receipts, received)
        key = source + call_id
        had = marks.get(key, 0)
        for bit in _bits(said, source, is_late):
            if not had & bit or received < seen[key, bit][5]:
                marks[key] = had = had | bit
                seen[key, bit] = fields
                bodies[key, bit] = body_from, body_to
    found.told = newest_of(_told(seen, marks, is_old))
    is_open = {key for key, bit in bodies if bit == START and not meant(marks[key]) & OVER}
    for key in {key for key, _ in found.told} | is_open:
        found.details[key] = detail = Detail()
        for bit in _PLAIN:
            if (key, bit) in seen:
                _learn(detail, bit, seen[key, bit])
        if key in is_open:
            body_from, body_to = bodies[key, START]
            detail.payload = data[body_from:body_to]
            detail.source = text(seen[key, START][1]) or ""
            if body_to - body_from > _SMALL:
                detail.find_agent()
    _measure(found, data, seen, bodies)
    _stamp(found, data)
    return found


def _measure(
    found: Digest, data: bytes, seen: dict[Happened, Fields], bodies: dict[Happened, tuple[int, int]]
) -> None:
    """Read what ends and analytics of calls in `told` say of the length of their call.

    A piece of a segment cannot know which of its calls are among the newest of the segment. So every call in `told`
    has its spans, and the first receipt counts, as in `Detail.add`: digests of pieces add up to that of the whole.
    """
    for key in {key for key, _ in found.told}:
        for plain, late in ((END, LATE_END), (DONE, LATE_DONE)):
            events = [(key, bit) for bit in (plain, late) if (key, bit) in seen]
            if not events:
                continue
            first = min(events, key=lambda event: (seen[event][5], bodies[event]))
            body_from, body_to = bodies[first]
            source, occurred, received = (text(seen[first][place]) or "" for place in (1, 4, 5))
            # analytics come some time after the end
            ended = occurred if plain == END and occurred else None
            span = span_of(source, data[body_from:body_to], received, ended)
            found.details[key].spans[plain] = span


def _bits(bit: int, source: bytes, is_late: bool) -> tuple[int, ...]:
    if bit == DONE and source in _ENDED_BY_ANALYTICS:
        return (LATE_END, LATE_DONE) if is_late else (END, DONE)
    return _LATE[bit] if is_late else _ONE[bit]


def _told(
    seen: dict[Happened, Fields], marks: dict[bytes, int], is_old: Callable[[Happened, bytes], bool]
) -> dict[Happened, bytes]:
    """The happenings that lines told, with their receipts."""
    told: dict[Happened, bytes] = {}
    for (key, bit), fields in seen.items():
        received, happened = fields[5], (key, _PLAIN[bit])
        if bit > DONE and not marks[key] & START and not is_old((key, START), _NEVER):
            continue
        if received < told.get(happened, _NEVER) and not is_old(happened, received):
            told[happened] = received
    return told


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
