"""What the calls are doing now, added up from digests of landing lines in any order.

Every line only adds a mark to its call, so duplicates, late events and segments read newest first all lead to the
same state. Reading the landing store belongs to `tail`; how it looks to `parts`.
"""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from integrations.board.call_state import (
    BITS,
    DONE,
    END,
    FEED,
    FEED_ROOM,
    OVER,
    START,
    Detail,
    Digest,
    Happened,
    add_receipt,
    digest_of,
    meant,
    newest_of,
)
from integrations.board.durations import Duration, duration
from integrations.board.envelope import moment, text

_DAY = (1 << BITS) - 1
"""The marks of today; one of an earlier day stands `BITS` further left."""
_KNOWN = [meant((marks | marks >> BITS) & _DAY) for marks in range(1 << 2 * BITS)]
_NEW = [
    meant(marks & _DAY | known & START) & ~meant(marks >> BITS | known & START)
    | marks & ~(marks >> BITS) & START
    for marks, known in enumerate(_KNOWN)
]
"""What was said today, and on no earlier day."""
_WORDS = {START: "started", END: "ended", DONE: "analysed"}
SHOWN = 60
"""The feed shows so many happenings."""


@dataclass(frozen=True)
class LiveCall:
    """A call that has started; `started_at` is the platform's time where that can be, else the receipt's.

    `is_at_least`: it is the receipt's, so the call may have begun earlier.
    """

    source: str
    call_id: str
    phone: str | None
    direction: str | None
    agent: str | None
    started_at: datetime
    left_at: datetime
    is_at_least: bool = False


@dataclass(frozen=True)
class Happening:
    """Something that an event said for the first time; of an end, how long the call took as far as that is known."""

    at: datetime
    what: str
    source: str
    call_id: str
    phone: str | None
    duration: Duration | None


@dataclass(frozen=True)
class LiveView:
    """The state at a moment, for showing.

    Before `is_current` nothing here may be shown, before `is_read` only the calls on the line and the feed.
    `newest_at`: receipt of the newest event that told something new; `receipts`: the oldest first, as the lines
    have them: of the newest such events each, and of what came before these the first in every ten seconds.
    """

    active: list[LiveCall] = field(default_factory=list)
    unended: list[LiveCall] = field(default_factory=list)
    feed: list[Happening] = field(default_factory=list)
    started: int = 0
    ended: int = 0
    analysed: int = 0
    sources: dict[str, datetime] = field(default_factory=dict)
    receipts: tuple[bytes, ...] = ()
    newest_at: datetime | None = None
    unread_bytes: int = 0
    is_current: bool = False
    is_read: bool = False
    problem: str = ""

    def oldest_after(self, known: datetime | None) -> datetime | None:
        """Receipt of the oldest event that told something new after a moment, or ever; None if there is none."""
        place = bisect_right(self.receipts, _raw(known)) if known else 0
        return _time(self.receipts[place]) if place < len(self.receipts) else None


class Live:
    """The state of one day and the day before it. For one thread."""

    def __init__(self, zone: ZoneInfo, no_end_after: timedelta, now: datetime) -> None:
        self._zone, self._no_end_after = zone, no_end_after
        self._marks: dict[bytes, int] = {}
        self._tally = [0] * len(_KNOWN)
        self._active: set[bytes] = set()
        self._details: dict[bytes, Detail] = {}
        self._feed: dict[Happened, bytes] = {}
        self._feed_from = b""
        self._receipts: dict[bytes, bytes] = {}
        self._sources: dict[bytes, bytes] = {}
        self._begin(now.astimezone(zone).date())

    def _begin(self, day: date) -> None:
        self.day = day
        self._day_start = _raw(self._midnight(day))

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone).astimezone(UTC)

    @property
    def window_start(self) -> datetime:
        """Events from here on are needed: a day back, for what was sent twice and for calls that go on."""
        return self._midnight(self.day) - max(timedelta(days=1), self._no_end_after)

    def take(self, data: bytes, told: Digest) -> bool:
        """Add whole lines, of which is known already what they told; whether that was something new."""
        if self.can_add(told):
            return self.add(told)
        before = digest_of(data, until=self._day_start, is_old=self.is_old)
        is_new = self.add(before)
        return self.add(digest_of(data, since=self._day_start, is_old=self.is_old)) | is_new

    def is_old(self, happened: Happened, received: bytes) -> bool:
        """Whether something that a line tells was told before it."""
        key, bit = happened
        return bool(_KNOWN[self._marks.get(key, 0)] & bit) and self._feed.get(happened, b"") <= received

    def can_add(self, told: Digest) -> bool:
        """Whether all of it was received on one side of the beginning of the day; else its lines are needed."""
        return told.first >= self._day_start or told.newest < self._day_start

    def add(self, told: Digest) -> bool:
        """Add what `can_add` lets pass; whether it told something new."""
        for source, received in told.sources.items():
            self._sources[source] = max(received, self._sources.get(source, b""))
        self._tell(told)
        is_new = self._mark(told.marks, 0 if told.first >= self._day_start else BITS)
        for key, detail in told.details.items():
            if key in self._active or key in self._details or self._is_in_feed(key):
                self._details.setdefault(key, Detail()).add(detail)
        if len(self._feed) > FEED_ROOM:
            self._trim()
        return is_new

    def _mark(self, more: dict[bytes, int], shift: int) -> bool:
        is_new, marks, tally, active = False, self._marks, self._tally, self._active
        for key, bits in more.items():
            had = marks.get(key, 0)
            has = marks[key] = had | bits << shift
            if has == had:
                continue
            tally[had] -= 1
            tally[has] += 1
            known = _KNOWN[has]
            if known != _KNOWN[had]:
                is_new = True
                if known & OVER:
                    active.discard(key)
                else:
                    active.add(key)
        return is_new

    def _tell(self, told: Digest) -> None:
        """Add to the feed what was told for the first time."""
        self._let_go_of(told)
        for received in told.receipts.values():
            add_receipt(self._receipts, received)
        feed = self._feed
        for happened, received in told.told.items():
            key, bit = happened
            if happened in feed:
                feed[happened] = min(feed[happened], received)
            elif received > self._feed_from and not _KNOWN[self._marks.get(key, 0)] & bit:
                feed[happened] = received

    def _let_go_of(self, told: Digest) -> None:
        """What is in the feed, and was told before already: so long ago that its receipt was not kept."""
        if len(told.told) < FEED:
            return
        marks, known, oldest = told.marks, told.told, min(told.told.values())
        for (key, bit), received in list(self._feed.items()):
            if meant(marks.get(key, 0)) & bit and (key, bit) not in known and oldest < received:
                del self._feed[key, bit]
                self._feed_from = b""

    def _is_in_feed(self, key: bytes) -> bool:
        return (key, START) in self._feed or (key, END) in self._feed or (key, DONE) in self._feed

    def _trim(self) -> None:
        """Keep the newest of the feed, the oldest of them first, and what is told of calls that are shown."""
        self._feed = newest_of(self._feed)
        if len(self._feed) == FEED:  # what is older cannot be among the newest
            self._feed_from = next(iter(self._feed.values()))
        shown = self._active | {key for key, _ in self._feed}
        self._details = {key: detail for key, detail in self._details.items() if key in shown}

    def roll(self, now: datetime) -> bool:
        """Begin a new day if there is one; whether it did."""
        day = now.astimezone(self._zone).date()
        if day <= self.day:
            return False
        self._begin(day)
        since = _raw(self.window_start)
        going_on = {
            key for key in self._active if (self._details[key].received or "").encode() >= since[1:-1]
        }
        self._marks = {
            key: (marks & _DAY) << BITS or marks
            for key, marks in self._marks.items()
            if marks & _DAY or key in going_on
        }
        # what a restart would no longer read is forgotten, or it would be taken for news that came late
        self._active &= self._marks.keys()
        self._feed = {happened: received for happened, received in self._feed.items() if received >= since}
        self._details = {key: detail for key, detail in self._details.items() if key in self._marks}
        self._receipts = {part: at for part, at in self._receipts.items() if at >= since}
        found = Counter(self._marks.values())
        self._tally = [found[marks] for marks in range(len(_KNOWN))]
        return True

    def view(self, now: datetime) -> LiveView:
        """What is shown at a moment, when everything was read."""
        self._trim()
        newest = [*reversed(self._feed.items())][:SHOWN]
        active, unended = [], []
        for key in list(self._active):
            call = self._call(key)
            if now < call.left_at:
                active.append(call)
            elif call.left_at >= self._midnight(self.day):
                unended.append(call)
            else:
                self._active.discard(key)
        return LiveView(
            active=sorted(active, key=lambda call: (call.started_at, call.call_id), reverse=True),
            unended=sorted(unended, key=lambda call: (call.left_at, call.call_id), reverse=True),
            feed=[self._happening(at, bit, key) for (key, bit), at in newest],
            started=self._count(START),
            ended=self._count(END),
            analysed=self._count(DONE),
            sources={text(name) or "": _time(at) for name, at in sorted(self._sources.items())},
            receipts=self._all_receipts(),
            newest_at=_time(newest[0][1]) if newest else None,
            is_current=True,
            is_read=True,
        )

    def _all_receipts(self) -> tuple[bytes, ...]:
        newest = tuple(self._feed.values())
        if len(newest) < FEED:
            return newest
        return (*sorted(at for at in self._receipts.values() if at < newest[0]), *newest)

    def _count(self, bit: int) -> int:
        """Calls of which that was said today, and on no earlier day."""
        return sum(n for n, new in zip(self._tally, _NEW, strict=True) if n and new & bit)

    def _call(self, key: bytes) -> LiveCall:
        detail = self._details.setdefault(key, Detail())
        detail.find_agent()
        received = moment(detail.received) or datetime.now(UTC)
        occurred = moment(detail.occurred) or received
        # a platform's clock may be wrong, and a replay's times are those of long ago
        sane = timedelta(0) <= received - occurred < self._no_end_after
        return LiveCall(
            *_names(key),
            phone=detail.phone,
            direction=detail.direction,
            agent=detail.agent,
            started_at=occurred if sane else received,
            left_at=received + self._no_end_after,
            is_at_least=not (sane and detail.occurred),
        )

    def _happening(self, received: bytes, bit: int, key: bytes) -> Happening:
        detail, at = self._details.get(key, Detail()), _time(received)
        source, call_id = _names(key)
        length = None
        if bit == END:
            arrived = moment(detail.received)
            seconds = (at - arrived).total_seconds() if arrived and at > arrived else None
            length = duration(source, detail.spans.get(END), detail.spans.get(DONE), detail.occurred, seconds)
        return Happening(at, _WORDS[bit], source, call_id, phone=detail.phone, duration=length)


def _raw(at: datetime) -> bytes:
    """A moment as the field of a landing line, so that the two compare as they are."""
    return b'"' + at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode() + b'"'


def _time(raw: bytes) -> datetime:
    return moment(text(raw)) or datetime.fromtimestamp(0, UTC)


def _names(key: bytes) -> tuple[str, str]:
    """Source and call id of a key: two JSON texts, of which a source needs no escape."""
    end = key.index(b'"', 1) + 1
    return text(key[:end]) or "", text(key[end:]) or ""
