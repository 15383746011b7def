"""What the calls are doing now, from the published copy and from landing lines in any order.

Of each step of a call the first receipt counts, so duplicates, late events and segments read newest first all lead to
the same state. Reading the landing store belongs to `landing_feed`, rendering to `page`.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from heapq import nlargest
from zoneinfo import ZoneInfo

from integrations.board.call_state import CallState, Detail, Step, describe, steps_of
from integrations.board.durations import Duration, duration
from receiver.envelope import moment_of, scan, text_of

FEED = 1000
"""The feed keeps so many happenings, so that an analysis some minutes later still knows whose call it was."""
FEED_ROOM = 4 * FEED
SHOWN = 60
"""The feed shows so many happenings."""
_WORDS = {Step.START: "started", Step.END: "ended", Step.ANALYTICS: "analysed"}
_RECEIPT_SECONDS = 10
_RECOVERED = b'"recovered:'
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

CallKey = str
"""`<source>:<call id>`, as the marts have it."""
Receipts = tuple[CallKey, datetime | None, datetime | None, datetime | None]
"""When the first start, end and analytics of a call were received."""


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
    """The first event of a step of a call; of an end, how long the call took as far as that is known."""

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
    `newest_at`: when the newest event of the feed was received. `receipts`, the oldest first: when each event of the
    feed was received, and of what came before these the first event in every ten seconds.
    """

    active: list[LiveCall] = field(default_factory=list)
    unended: list[LiveCall] = field(default_factory=list)
    feed: list[Happening] = field(default_factory=list)
    started: int = 0
    ended: int = 0
    analysed: int = 0
    sources: dict[str, datetime] = field(default_factory=dict)
    receipts: tuple[datetime, ...] = ()
    newest_at: datetime | None = None
    unread_bytes: int = 0
    is_current: bool = False
    is_read: bool = False
    problem: str = ""

    def oldest_after(self, known: datetime | None) -> datetime | None:
        """When the oldest event after a moment, or of all, was received; None if there is none."""
        place = bisect_right(self.receipts, known) if known else 0
        return self.receipts[place] if place < len(self.receipts) else None


class LiveCalls:
    """The calls of one day and the day before it. For one thread."""

    def __init__(self, zone: ZoneInfo, no_end_after: timedelta, now: datetime) -> None:
        self._zone, self._no_end_after = zone, no_end_after
        self._calls: dict[CallKey, CallState] = {}
        self._counts = [0, 0, 0]
        self._active: set[CallKey] = set()
        self._feed: dict[tuple[CallKey, Step], datetime] = {}
        self._feed_from = _LONG_AGO
        self._is_feed_short = False
        self._receipts: dict[int, datetime] = {}
        self._sources: dict[bytes, datetime] = {}
        self._begin(now.astimezone(zone).date())

    def _begin(self, day: date) -> None:
        self.day = day
        self._day_start = self._midnight(day)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone).astimezone(UTC)

    @property
    def window_start(self) -> datetime:
        """Events from here on are needed: a day back, for what was sent twice and for calls that go on."""
        return self._day_start - max(timedelta(days=1), self._no_end_after)

    def start_from(self, calls: Iterable[Receipts], sources: dict[str, datetime]) -> None:
        """Take in calls of the published copy, the newest first, and when each source was heard of last."""
        for key, *receipts in calls:
            call = self._calls.setdefault(key, CallState())
            for step, received_at in zip(Step, receipts, strict=True):
                if received_at is not None:
                    self._receive(key, call, step, received_at)
            if len(self._feed) > FEED_ROOM:
                self._trim()
        for source, received_at in sources.items():
            self._hear_of(b'"%s"' % source.encode(), received_at)

    def shown(self) -> list[CallKey]:
        """The calls on the line and in the feed, whose details are shown."""
        self._trim()
        return list(self._active | {key for key, _ in self._feed})

    def add_details(self, details: dict[CallKey, Detail]) -> None:
        """Take in what the published copy says of calls that are shown."""
        for key, detail in details.items():
            self._calls[key].detail = detail

    def read(self, data: bytes) -> bool:
        """Take in whole landing lines; returns True if they change what is shown."""
        is_new = False
        for fields, payload_start, payload_end in scan(data):
            event_id, source, event_type, call_id, _, received, _, _ = fields
            received_at = moment_of(text_of(received))
            if received_at is None:
                continue
            is_recovered = event_id.startswith(_RECOVERED)
            if not is_recovered:
                self._hear_of(source, received_at)
            steps = steps_of(event_type, source)
            if not steps or call_id == b"null":
                continue
            if not is_recovered:
                place = int(received_at.timestamp()) // _RECEIPT_SECONDS
                self._receipts[place] = min(received_at, self._receipts.get(place, received_at))
            key = f"{text_of(source)}:{text_of(call_id)}"
            first = self._take(key, steps, received_at, is_recovered)
            is_new |= bool(first)
            if self._is_shown(key):
                call = self._calls[key]
                call.detail = call.detail or Detail()
                describe(
                    call.detail, fields, data[payload_start:payload_end] if first else b"", first,
                    is_open=call.is_active,
                )  # fmt: skip
            if len(self._feed) > FEED_ROOM:
                self._trim()
        return is_new

    def settle(self) -> None:
        """Complete the feed, of which reading the newest segment first may have left out something."""
        if not self._is_feed_short:
            return
        happened = (
            (received_at, key, step)
            for key, call in self._calls.items()
            for step in Step
            if (received_at := call.received_at(step)) is not None
        )
        self._feed = {(key, step): received_at for received_at, key, step in nlargest(FEED, happened)}
        self._feed_from, self._is_feed_short = _LONG_AGO, False
        self._trim()

    def _hear_of(self, source: bytes, at: datetime) -> None:
        if at > self._sources.get(source, _LONG_AGO):
            self._sources[source] = at

    def _take(
        self, key: CallKey, steps: tuple[Step, ...], received_at: datetime, is_recovered: bool
    ) -> list[Step]:
        """Add an event to its call; returns the steps of which it is the first event."""
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = CallState()
        if is_recovered and steps[0] is not Step.START and call.started_at is None:
            for step in steps:
                call.hold_back(step, received_at)
            return []
        first = [step for step in steps if self._receive(key, call, step, received_at)]
        if call.recovered and call.started_at is not None:
            recovered, call.recovered = call.recovered, None
            for step, at in recovered.items():
                self._receive(key, call, step, at)
        return first

    def _receive(self, key: CallKey, call: CallState, step: Step, at: datetime) -> bool:
        """Add an event to its call; returns True if it is the first of its step that was received."""
        known = call.received_at(step)
        if not call.receive(step, at):
            return False
        self._counts[step] += (at >= self._day_start) - (known is not None and known >= self._day_start)
        happened = key, step
        if happened in self._feed:
            self._feed[happened] = at
            if at < self._feed_from:
                self._feed_from, self._is_feed_short = _LONG_AGO, True
        elif known is None and at > self._feed_from:
            self._feed[happened] = at
        if call.is_active:
            self._active.add(key)
        elif key in self._active:
            self._active.discard(key)
            self._let_go(key)
        return True

    def _is_shown(self, key: CallKey) -> bool:
        return key in self._active or any((key, step) in self._feed for step in Step)

    def _let_go(self, key: CallKey) -> None:
        """Forget what is not shown any more of a call."""
        call = self._calls.get(key)
        if call is None or call.detail is None or key in self._active:
            return
        call.detail.start_body = b""
        if not self._is_shown(key):
            call.detail = None

    def _trim(self) -> None:
        """Keep the newest of the feed, the oldest of them first, and the details of calls that are shown."""
        in_order = sorted(self._feed.items(), key=lambda item: (item[1], item[0]))
        self._feed = dict(in_order[-FEED:])
        if len(self._feed) == FEED:  # what is older cannot be among the newest
            self._feed_from = next(iter(self._feed.values()))
        for (key, _), _ in in_order[:-FEED]:
            self._let_go(key)

    def roll(self, now: datetime) -> bool:
        """Begin a new day if there is one; returns True if it did."""
        day = now.astimezone(self._zone).date()
        if day <= self.day:
            return False
        self._begin(day)
        # what a restart would no longer read is forgotten, or it would be taken for news that came late
        since = self.window_start
        for call in self._calls.values():
            call.forget_before(since)
        self._calls = {key: call for key, call in self._calls.items() if call.is_known}
        self._active = {key for key in self._active if key in self._calls and self._calls[key].is_active}
        self._feed = {happened: at for happened, at in self._feed.items() if at >= since}
        self._receipts = {place: at for place, at in self._receipts.items() if at >= since}
        for key in self._calls:
            self._let_go(key)
        self._counts = [
            sum((call.received_at(step) or _LONG_AGO) >= self._day_start for call in self._calls.values())
            for step in Step
        ]
        return True

    def view(self, now: datetime) -> LiveView:
        """What is shown at a moment, when everything was read."""
        self._trim()
        newest = [*reversed(self._feed.items())][:SHOWN]
        active, unended = [], []
        for key in list(self._active):
            call = self._live_call(key)
            if now < call.left_at:
                active.append(call)
            elif call.left_at >= self._day_start:
                unended.append(call)
            else:
                self._active.discard(key)
                self._let_go(key)
        return LiveView(
            active=sorted(active, key=lambda call: (call.started_at, call.call_id), reverse=True),
            unended=sorted(unended, key=lambda call: (call.left_at, call.call_id), reverse=True),
            feed=[self._happening(at, step, key) for (key, step), at in newest],
            started=self._counts[Step.START],
            ended=self._counts[Step.END],
            analysed=self._counts[Step.ANALYTICS],
            sources={text_of(name) or "": at for name, at in sorted(self._sources.items())},
            receipts=self._all_receipts(),
            newest_at=newest[0][1] if newest else None,
            is_current=True,
            is_read=True,
        )

    def _all_receipts(self) -> tuple[datetime, ...]:
        newest = tuple(self._feed.values())
        if len(newest) < FEED:
            return newest
        return (*sorted(at for at in self._receipts.values() if at < newest[0]), *newest)

    def _live_call(self, key: CallKey) -> LiveCall:
        call = self._calls[key]
        call.detail = detail = call.detail or Detail()
        detail.find_agent()
        received = call.started_at or _LONG_AGO
        started = moment_of(detail.started) or received
        # a platform's clock may be wrong, and a replay's times are those of long ago
        is_plausible = timedelta(0) <= received - started < self._no_end_after
        source, _, call_id = key.partition(":")
        return LiveCall(
            source,
            call_id,
            phone=detail.phone,
            direction=detail.direction,
            agent=detail.agent,
            started_at=started if is_plausible else received,
            left_at=received + self._no_end_after,
            is_at_least=not (is_plausible and detail.started),
        )

    def _happening(self, at: datetime, step: Step, key: CallKey) -> Happening:
        call = self._calls[key]
        detail = call.detail or Detail()
        source, _, call_id = key.partition(":")
        length = None
        if step is Step.END:
            seconds = (
                (at - call.started_at).total_seconds() if call.started_at and at > call.started_at else None
            )
            length = duration(
                source, detail.spans.get(Step.END), detail.spans.get(Step.ANALYTICS), detail.started, seconds
            )
        return Happening(at, _WORDS[step], source, call_id, phone=detail.phone, duration=length)
