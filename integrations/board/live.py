"""What the calls are doing now, folded from landing lines in any order.

Every line only adds a mark to its call, so duplicates, late events and segments read newest first all lead to the
same state. Reading the landing store belongs to `tail`; how it looks to `parts`.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from integrations.board.envelope import ANALYTICS, CALL_END, CALL_START, agent_of, heads, moment, text

START, END, DONE = 1, 2, 4
_OVER = END | DONE
_BEFORE = 3
_KINDS = {
    b'"%s"' % kind.encode(): bit for kind, bit in ((CALL_START, START), (CALL_END, END), (ANALYTICS, DONE))
}
_WORDS = {START: "started", END: "ended", DONE: "analysed"}
SHOWN = 60
FEED = 1000
"""So many happenings are remembered, so that an analysis some minutes later still knows whose call it was."""
_FEED_ROOM = 4 * FEED
_SMALL = 64 << 10


@dataclass(slots=True)
class Detail:
    """What is told of a call that is shown; texts as the line has them. `received` is that of its start."""

    phone: str | None = None
    direction: str | None = None
    agent: str | None = None
    occurred: str | None = None
    received: str | None = None
    payload: bytes = b""


@dataclass(frozen=True)
class LiveCall:
    """A call that has started; `started_at` is the platform's time where that can be, else the receipt's."""

    source: str
    call_id: str
    phone: str | None
    direction: str | None
    agent: str | None
    started_at: datetime
    left_at: datetime


@dataclass(frozen=True)
class Happening:
    """Something that an event said for the first time."""

    at: datetime
    what: str
    source: str
    call_id: str
    phone: str | None
    seconds: float | None


@dataclass(frozen=True)
class LiveView:
    """The state at a moment, for showing.

    Before `is_current` nothing here may be shown, before `is_read` only the calls on the line and the feed.
    `newest_at`: receipt of the newest event that told something new.
    """

    active: list[LiveCall] = field(default_factory=list)
    unended: list[LiveCall] = field(default_factory=list)
    feed: list[Happening] = field(default_factory=list)
    started: int = 0
    ended: int = 0
    analysed: int = 0
    sources: dict[str, datetime] = field(default_factory=dict)
    newest_at: datetime | None = None
    unread_bytes: int = 0
    is_current: bool = False
    is_read: bool = False
    problem: str = ""


class Live:
    """The state of one day and the day before it. For one thread."""

    def __init__(self, zone: ZoneInfo, no_end_after: timedelta, now: datetime) -> None:
        self._zone, self._no_end_after = zone, no_end_after
        self._marks: dict[bytes, int] = {}
        self._active: set[bytes] = set()
        self._details: dict[bytes, Detail] = {}
        self._feed: list[tuple[bytes, int, bytes]] = []
        self._feed_from = b""
        self._counts = {START: 0, END: 0, DONE: 0}
        self._sources: dict[bytes, bytes] = {}
        self._newest = b""
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

    def fold(self, data: bytes) -> bool:
        """Take whole lines in; whether one of them told something new."""
        is_new, sources, marks, start_of_day = False, self._sources, self._marks, self._day_start
        # backwards: of a call that is over its end comes first, and nothing has to be kept of it
        for fields, payload_from, payload_to in reversed(list(heads(data))):
            _, source, kind, call_id, _, received, _, _ = fields
            if received > sources.get(source, b""):
                sources[source] = received
            bit = _KINDS.get(kind)
            if bit is None or call_id == b"null":
                continue
            key = source + call_id
            had = marks.get(key, 0)
            mark = bit if received >= start_of_day else bit << _BEFORE
            if bit == START and had & (START | START << _BEFORE) and key in self._active:
                self._begin_with_the_first(key, fields)
            if had & mark:
                continue
            marks[key] = had | mark
            self._count(bit, mark, had)
            if had & (bit | bit << _BEFORE):
                continue
            is_new = True
            self._follow(key, bit, had)
            if received > self._feed_from or key in self._details or key in self._active:
                self._tell(key, bit, fields, data[payload_from : min(payload_to, payload_from + _SMALL)])
        return is_new

    def _count(self, bit: int, mark: int, had: int) -> None:
        if mark == bit:
            self._counts[bit] += not had & bit << _BEFORE
        else:
            self._counts[bit] -= bool(had & bit)

    def _follow(self, key: bytes, bit: int, had: int) -> None:
        if bit != START:
            self._active.discard(key)
        elif not had & (_OVER | _OVER << _BEFORE):
            self._active.add(key)

    def _tell(self, key: bytes, bit: int, fields: tuple[bytes, ...], payload: bytes) -> None:
        *_, occurred, received, phone, way = fields
        if received > self._newest:
            self._newest = received
        if received > self._feed_from:
            self._feed.append((received, bit, key))
        detail = self._details.setdefault(key, Detail())
        detail.phone = detail.phone or text(phone)
        detail.direction = detail.direction or text(way)
        if bit == START:
            detail.occurred, detail.received = text(occurred), text(received)
            if key in self._active and len(payload) < _SMALL:
                detail.payload = payload
        if len(self._feed) >= _FEED_ROOM:
            self._trim()

    def _begin_with_the_first(self, key: bytes, fields: tuple[bytes, ...]) -> None:
        """A start that was sent twice counts from its first receipt, whichever of the two is read first."""
        *_, occurred, received, _, _ = fields
        detail, at = self._details[key], text(received)
        if at and detail.received and at < detail.received:
            detail.occurred, detail.received = text(occurred), at

    def _trim(self) -> None:
        """Keep the newest of the feed, the oldest of them first, and what is told of calls that are shown."""
        self._feed = sorted(self._feed)[-FEED:]
        self._feed_from = self._feed[0][0] if len(self._feed) == FEED else b""
        shown = self._active | {key for _, _, key in self._feed}
        self._details = {key: detail for key, detail in self._details.items() if key in shown}

    def roll(self, now: datetime) -> bool:
        """Begin a new day if there is one; whether it did."""
        return self._roll_to(now.astimezone(self._zone).date())

    def _roll_to(self, day: date) -> bool:
        if day <= self.day:
            return False
        self._begin(day)
        since = self.window_start.isoformat()
        going_on = {key for key in self._active if (self._details[key].received or "") >= since}
        self._marks = {
            key: (marks & 7) << _BEFORE or marks
            for key, marks in self._marks.items()
            if marks & 7 or key in going_on
        }
        self._counts = dict.fromkeys(self._counts, 0)
        return True

    def view(self, now: datetime) -> LiveView:
        """What is shown at a moment, when everything was read."""
        self._trim()
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
            feed=[self._happening(*item) for item in reversed(self._feed[-SHOWN:])],
            started=self._counts[START],
            ended=self._counts[END],
            analysed=self._counts[DONE],
            sources={text(name) or "": _time(at) for name, at in sorted(self._sources.items())},
            newest_at=_time(self._newest) if self._newest else None,
            is_current=True,
            is_read=True,
        )

    def _call(self, key: bytes) -> LiveCall:
        detail = self._details.setdefault(key, Detail())
        if detail.payload:
            detail.agent, detail.payload = agent_of(detail.payload), b""
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
        )

    def _happening(self, received: bytes, bit: int, key: bytes) -> Happening:
        detail, at = self._details.get(key, Detail()), _time(received)
        started = moment(detail.received) if bit == END else None
        seconds = (at - started).total_seconds() if started and at > started else None
        return Happening(at, _WORDS[bit], *_names(key), phone=detail.phone, seconds=seconds)

    def dump(self) -> tuple[dict[str, Any], bytes]:
        """Everything: what JSON can say, and the marks of the calls, of which a day has many."""
        self._trim()
        return {
            "day": self.day.isoformat(),
            "rules": self._rules,
            "active": [key.decode() for key in self._active],
            "details": {
                key.decode(): asdict(detail) | {"payload": detail.payload.decode()}
                for key, detail in self._details.items()
            },
            "feed": [[at.decode(), bit, key.decode()] for at, bit, key in self._feed],
            "counts": [self._counts[START], self._counts[END], self._counts[DONE]],
            "sources": {name.decode(): at.decode() for name, at in self._sources.items()},
            "newest": self._newest.decode(),
        }, b"\n".join((bytes(self._marks.values()).hex().encode(), *self._marks))

    def restore(self, kept: dict[str, Any], marks: bytes) -> bool:
        """Take what `dump` gave; False, and nothing taken, if it was kept under other rules or too long ago."""
        day = date.fromisoformat(kept["day"])
        if kept["rules"] != self._rules or not 0 <= (self.day - day).days <= 1:
            return False
        today = self.day
        self._begin(day)
        values, *keys = marks.split(b"\n")
        self._marks = dict(zip(keys, bytes.fromhex(values.decode()), strict=True))
        self._active = {key.encode() for key in kept["active"]}
        self._details = {
            key.encode(): Detail(**detail | {"payload": detail["payload"].encode()})
            for key, detail in kept["details"].items()
        }
        self._feed = [(at.encode(), bit, key.encode()) for at, bit, key in kept["feed"]]
        self._counts = dict(zip((START, END, DONE), kept["counts"], strict=True))
        self._sources = {name.encode(): at.encode() for name, at in kept["sources"].items()}
        self._newest = kept["newest"].encode()
        self._roll_to(today)
        return True

    @property
    def _rules(self) -> list[object]:
        return [str(self._zone), self._no_end_after.total_seconds()]


def _raw(at: datetime) -> bytes:
    """A moment as the field of a landing line, so that the two compare as they are."""
    return b'"' + at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode() + b'"'


def _time(raw: bytes) -> datetime:
    return moment(text(raw)) or datetime.fromtimestamp(0, UTC)


def _names(key: bytes) -> tuple[str, str]:
    """Source and call id of a key: two JSON texts, of which a source needs no escape."""
    end = key.index(b'"', 1) + 1
    return text(key[:end]) or "", text(key[end:]) or ""
