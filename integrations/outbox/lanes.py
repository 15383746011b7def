"""One pass over one destination: several workers send, one writer marks.

Each worker has an opened destination of its own. It takes a chain of actions that must not overtake each other, sends
one, and goes on when that is marked on disk: so a kill leaves at most one unmarked action a worker. What one try is
belongs to `trying`.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import Checkable, Destination, KeptInOutbox, Limits, open_destination
from integrations.errors import Busy, Paused, Unreachable
from integrations.outbox import circuit
from integrations.outbox.backlog import load_due
from integrations.outbox.doubts import Doubt
from integrations.outbox.engine import writing
from integrations.outbox.marking import GOT_THROUGH, STOPPED, Outcome, mark
from integrations.outbox.records import Pause
from integrations.outbox.trying import Clock, NotYet, Trier
from integrations.routes import routes

KEPT_AT_ONCE = 200


@dataclass
class Lane:
    """A pass over one destination.

    Args:
        engine: the outbox's engine.
        channel: its channel.
        name: its name.
        settings: of the installation.
        clock: the time.
        given: this one, opened already, instead of what the name leads to.
        writer: shared by the lanes of a pass, which write to one outbox.
        halt: set when the pass is to end early.
    """

    engine: Engine
    channel: str
    name: str
    settings: IntegrationSettings
    clock: Clock
    given: Destination | None = None
    writer: threading.Lock = field(default_factory=threading.Lock)
    halt: threading.Event = field(default_factory=threading.Event)
    done: Counter[str] = field(default_factory=Counter)
    made: dict[str, str] = field(default_factory=dict)
    stopped: circuit.Stop | None = None
    pause: Pause | None = None
    streak: circuit.Streak = field(default_factory=circuit.Streak)

    def __post_init__(self) -> None:
        self.doubt = Doubt(self.settings)

    def run(self, due: Sequence[tuple[str, str]]) -> Counter[str]:
        """Try these actions, each a key and the key of its chain; nothing while the destination has stopped."""
        self.pause = circuit.pause_of(self.engine, self.channel, self.name)
        if self.pause and self.pause.until > self.clock():
            return self.done
        self.streak = circuit.streak_of(self.engine, self.channel, self.name)
        try:
            self._work(due)
        except Paused as error:
            # Raised while it was opened: a setting is missing.
            self.stopped = error
        if self.doubt:
            self.mark(self.doubt.settled(is_own=self.stopped is None and self._has_all_rights()))
        if self.stopped is not None:
            circuit.pause(self.engine, self.channel, self.name, self.stopped, self.clock(), self.settings)
        return self.done

    def open(self) -> Destination:
        """One more of the destination."""
        return self.given or open_destination(self.channel, self.settings, self.name)

    def close(self, target: Destination) -> None:
        """Close what `open` opened."""
        if target is not self.given:
            getattr(target, "close", lambda: None)()

    def trier(self, target: Destination) -> Trier:
        """What tries actions at an opened destination."""
        probing = lambda: self.pause is not None  # noqa: E731
        return Trier(self.engine, target, self.settings, self.clock, self.made, probing)

    def mark(self, outcomes: Sequence[Outcome], kept: KeptInOutbox | None = None) -> None:
        """Write outcomes down, on disk; the circuit learns of them in the same transaction."""
        before = self.streak
        # What a preview refuses is content, whatever the number: nobody is asked.
        for outcome in outcomes if kept is None else ():
            if outcome.result == STOPPED and isinstance(outcome.cause, Paused | Busy | Unreachable):
                self.stop(outcome.cause)
                continue
            if outcome.is_alone:
                continue
            self.streak = self.streak.after(outcome.cause)
            if stop := self.streak.stops(outcome.cause, self.settings):
                self.stop(stop)
        with self.writer, writing(self.engine, durable=kept is None) as write:
            if kept:
                kept.keep(write.connection, self.clock())
            mark(write, outcomes)
            if self.pause and any(outcome.result in GOT_THROUGH for outcome in outcomes):
                circuit.end(write, self.channel, self.name)
                self.pause, before = None, circuit.Streak()
            if self.streak != before:
                circuit.keep_streak(write, self.channel, self.name, self.streak)
        self.done.update(_counted(outcome) for outcome in outcomes if outcome.result != STOPPED)

    def stop(self, reason: circuit.Stop) -> None:
        """Begin nothing more; the first reason counts."""
        self.stopped = self.stopped or reason

    def _has_all_rights(self) -> bool:
        """Whether the destination's own check finds nothing missing."""
        target = self.open()
        try:
            return isinstance(target, Checkable) and all(one.is_fine for one in target.check())
        except Exception:
            # Whatever a client library throws; then nobody knows.
            return False
        finally:
            self.close(target)

    def _work(self, due: Sequence[tuple[str, str]]) -> None:
        first = self.open()
        if isinstance(first, KeptInOutbox):
            self._keep(first, [key for key, _ in due])
            return
        limits = routes(self.settings).limits_of(self.name, getattr(first, "limits", Limits()))
        chains: dict[str, list[str]] = {}
        for key, link in due:
            chains.setdefault(link, []).append(key)
        waiting = deque(chains.values())
        pace = Pace(limits.per_second)
        if self.pause:
            _Crew(self, waiting, pace, is_probing=True).work([first])
            if self.stopped or not waiting:
                return
            first = self.open()
        size = 1 if self.given else min(limits.concurrency, len(waiting))
        _Crew(self, waiting, pace).work([first, *[None] * (size - 1)])

    def _keep(self, target: KeptInOutbox, keys: Sequence[str]) -> None:
        trier = self.trier(target)
        for start in range(0, len(keys), KEPT_AT_ONCE):
            outcomes = []
            for action in load_due(self.engine, keys[start : start + KEPT_AT_ONCE], self.clock()):
                try:
                    outcomes.append(trier.attempt(action))
                except NotYet:
                    continue
            if outcomes:
                self.mark(outcomes, target)


class Pace:
    """At most so many begun a second, evenly spaced; shared by the workers."""

    def __init__(self, per_second: float | None) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, is_over: threading.Event) -> None:
        """Until it is one's turn, or all is over."""
        if not self._gap:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        is_over.wait(turn - now)


@dataclass
class _Tried:
    outcome: Outcome
    is_marked: threading.Event = field(default_factory=threading.Event)


class _Crew:
    """Workers on the same chains. While probing there is one, and it ends with the pause."""

    def __init__(self, lane: Lane, chains: deque[list[str]], pace: Pace, *, is_probing: bool = False) -> None:
        self.lane, self.chains, self.pace, self.is_probing = lane, chains, pace, is_probing
        self.told: SimpleQueue[_Tried | BaseException | None] = SimpleQueue()
        self.is_over = threading.Event()
        self.at_work = 0

    def work(self, targets: Sequence[Destination | None]) -> None:
        """Until nothing is left or the destination stops: a worker a target, which opens its own if it has none."""
        for target in targets:
            self.at_work += 1
            threading.Thread(target=self._worker, args=(target,), daemon=True).start()
        try:
            self._write()
        except BaseException:
            # The outbox cannot be written: nothing more is begun, and what is under way is waited for.
            self.is_over.set()
            self._write()
            raise

    def _write(self) -> None:
        while self.at_work:
            told = [self.told.get()]
            while True:
                try:
                    told.append(self.told.get_nowait())
                except Empty:
                    break
            self._note(told)

    def _note(self, told: Sequence[_Tried | BaseException | None]) -> None:
        self.at_work -= sum(one is None for one in told)
        tried = [one for one in told if isinstance(one, _Tried)]
        try:
            if known := self.lane.doubt.judged([one.outcome for one in tried]):
                self.lane.mark(known)
        except BaseException:
            # Before the workers go on: what they sent now could not be marked either.
            self.is_over.set()
            raise
        finally:
            if self.lane.stopped or (self.is_probing and self.lane.pause is None):
                self.is_over.set()
            for one in tried:
                one.is_marked.set()
        for error in told:
            if isinstance(error, Paused):
                # Raised while one more was opened.
                self.lane.stop(error)
                self.is_over.set()
            elif isinstance(error, BaseException):
                raise error

    def _worker(self, target: Destination | None) -> None:
        try:
            target = target or self.lane.open()
            trier = self.lane.trier(target)
            while not self._is_over() and (keys := self._next()):
                self._go_along(trier, deque(keys))
        except BaseException as error:
            self.told.put(error)
        finally:
            if target is not None:
                self.lane.close(target)
            self.told.put(None)

    def _is_over(self) -> bool:
        return self.is_over.is_set() or self.lane.halt.is_set()

    def _next(self) -> list[str]:
        try:
            return self.lane.doubt.next(self.chains)
        except IndexError:
            return []

    def _go_along(self, trier: Trier, keys: deque[str]) -> None:
        while keys:
            self.pace.wait(self.is_over)
            if self._is_over():
                self.chains.appendleft(list(keys))
                return
            for action in load_due(self.lane.engine, [keys.popleft()], self.lane.clock()):
                try:
                    tried = _Tried(trier.attempt(action))
                except NotYet:
                    continue
                self.told.put(tried)
                tried.is_marked.wait()


def _counted(outcome: Outcome) -> str:
    if outcome.result in GOT_THROUGH:
        return "updated" if outcome.action.sent_at else "sent"
    return outcome.result
