"""One pass over one destination: several workers send, one writer marks, and the circuit learns of it.

Each worker has an opened destination of its own. It takes a chain of actions that must not overtake each other, sends
one, and goes on when that is marked on disk: so a kill leaves at most one unmarked action a worker. How they work
together is in `workers`; what one try is belongs to `trying`.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import (
    Destination,
    Knockable,
    Limits,
    SupportsCheck,
    Transactional,
    can_be_asked,
    open_destination,
)
from integrations.errors import DestinationUnavailable, RateLimited, Unreachable, describe
from integrations.outbox import circuit_breaker
from integrations.outbox.attempt import Clock, NotYet, Sender
from integrations.outbox.doubts import Doubt
from integrations.outbox.engine import Write, insistently, writing
from integrations.outbox.leases import Claim, Leases
from integrations.outbox.models import Action, Pause
from integrations.outbox.queue import load_due
from integrations.outbox.results import GOT_THROUGH, STOPPED, Outcome, begin, mark, unmarked
from integrations.outbox.workers import Crew, RateLimiter
from integrations.routes import routes

KEPT_AT_ONCE = 200
# No chain is called so: they have a colon, or are the key of an action.
_ALL = "*"
# Something may be wrong with one action; with so many that a probe tried it is not only they.
PROBES_AT_ONCE = 3


@dataclass
class Worker:
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
    stopped: circuit_breaker.Stop | None = None
    pause: Pause | None = None
    chain_of: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.doubt = Doubt(self.settings)
        self.leases = Leases(self.engine, self.channel, self.name, self.settings, self.clock)
        self._was_paused, self._failed_probes = False, list[Outcome]()
        self._probe: Pause | None = None

    def run(self, due: Sequence[tuple[str, str]]) -> Counter[str]:
        """Try these actions, each a key and the key of its chain; nothing while the destination has stopped."""
        self.pause = circuit_breaker.pause_of(self.engine, self.channel, self.name)
        if self.pause and self.pause.until > self.clock():
            return self.done
        if self.pause and not self._may_probe(self.pause):
            return self.done
        self._was_paused = self.pause is not None
        try:
            self._work(due)
        except DestinationUnavailable as error:
            # Raised while it was opened: a setting is missing.
            self.stopped = error
        finally:
            self.leases.release()
        if self.doubt:
            self.write(self.doubt.settled(is_own=self.stopped is None and self._has_all_rights()))
        if self.stopped is not None:
            self._pause(self.stopped)
        elif self.pause and self._probe:
            # Nothing was found out, so that anybody may probe at once.
            circuit_breaker.take_probe(self.engine, self._probe, self.pause.until)
        return self.done

    def open(self) -> Destination:
        """One more of the destination."""
        return self.given or open_destination(self.channel, self.settings, self.name)

    def close(self, target: Destination) -> None:
        """Close what `open` opened."""
        if target is not self.given:
            getattr(target, "close", lambda: None)()

    def trier(self, target: Destination, begins: Callable[[Action], None] | None = None) -> Sender:
        """What tries actions at an opened destination."""
        probing = lambda: self.pause is not None  # noqa: E731
        more = () if begins is None else (begins,)
        return Sender(self.engine, target, self.settings, self.clock, self.made, probing, *more)

    def write(
        self,
        outcomes: Sequence[Outcome],
        begins: Sequence[Action] = (),
        ended: Collection[str] = (),
        kept: Transactional | None = None,
    ) -> set[str]:
        """Write down outcomes and sends that begin, on disk; the circuit learns of the outcomes with them.

        The chains that have `ended` are let go. Returns the keys of what may be sent now: an action that another
        dispatcher holds by now may not.
        """

        def write(is_again: bool) -> set[str]:
            with self.writer, writing(self.engine, durable=kept is None) as write:
                if kept:
                    kept.keep(write.connection, self.clock())
                left = unmarked(write, outcomes) if is_again else outcomes
                return self._write(write, left, begins, ended, kept)

        granted = insistently(self.engine, write)
        self.done.update(_counted(outcome) for outcome in outcomes if outcome.result != STOPPED)
        return granted

    def _write(
        self,
        write: Write,
        outcomes: Sequence[Outcome],
        begins: Sequence[Action],
        ended: Collection[str],
        kept: Transactional | None,
    ) -> set[str]:
        chains = {key: self.chain_of[key] for key in (one.action.action_key for one in outcomes)}
        foreign = self.leases.foreign(write.connection, chains.values())
        mark(write, outcomes, {key for key, chain in chains.items() if chain in foreign})
        wanted = {self.chain_of[action.action_key] for action in begins}
        own = self.leases.extended(write.connection, wanted | set(chains.values()) - set(ended))
        self.leases.let_go(write.connection, ended)
        # What a preview refuses is content, whatever the number: nobody is asked.
        if kept is None and outcomes:
            self._learn(write, outcomes)
        granted = [one for one in begins if self.chain_of[one.action_key] in own and not self.stopped]
        begin(write, granted)
        return {action.action_key for action in granted}

    def _learn(self, write: Write, outcomes: Sequence[Outcome]) -> None:
        """Have the circuit learn of outcomes: whether the destination stops, or goes on."""
        before = streak = circuit_breaker.streak_of(write.connection, self.channel, self.name)
        for outcome in outcomes:
            if outcome.result == STOPPED:
                self._learn_stop(outcome)
                continue
            if outcome.is_lost and isinstance(outcome.cause, Unreachable | OSError):
                # Each more would leave another send without an end behind.
                self._learn_stop(outcome)
            if outcome.is_alone:
                continue
            streak = streak.after(outcome.cause)
            if stop := streak.stops(outcome.cause, self.settings):
                self.stop(stop)
                circuit_breaker.let_the_row_wait(write, self.channel, self.name, outcome.finished_at)
        if any(outcome.result in GOT_THROUGH for outcome in outcomes):
            if before.refused:
                circuit_breaker.end_the_row(write, self.channel, self.name)
            if self.pause:
                circuit_breaker.end(write, self.channel, self.name)
                self.pause, before = None, circuit_breaker.Streak()
        if streak != before:
            circuit_breaker.keep_streak(write, self.channel, self.name, streak)

    def _learn_stop(self, outcome: Outcome) -> None:
        if isinstance(outcome.cause, DestinationUnavailable | RateLimited | Unreachable):
            self.stop(outcome.cause)
        elif isinstance(outcome.cause, OSError):
            self.stop(Unreachable(outcome.error or ""))
        else:
            self._failed_probes.append(outcome)
            if len(self._failed_probes) >= PROBES_AT_ONCE:
                self._stop_again()

    def _stop_again(self) -> None:
        last = self._failed_probes[-1].error
        self.stop(
            DestinationUnavailable(
                f"actions are still refused or fail, so it is hardly their content; the last one: {last}"
            )
        )

    def stop(self, reason: circuit_breaker.Stop) -> None:
        """Begin nothing more; the first reason counts."""
        self.stopped = self.stopped or reason

    def _pause(self, reason: circuit_breaker.Stop) -> None:
        def pause(_: bool) -> None:
            is_probe = self._was_paused
            circuit_breaker.pause(
                self.engine, self.channel, self.name, reason, self.clock(), self.settings, is_probe=is_probe
            )

        insistently(self.engine, pause)

    def _may_probe(self, pause: Pause) -> bool:
        """False if another dispatcher finds out whether the pause may end."""
        if not self.leases.is_shared:
            return True
        later = self.clock() + timedelta(seconds=self.settings.pause_base_seconds)
        self._probe = replace(pause, until=later)
        return circuit_breaker.take_probe(self.engine, pause, later)

    def _has_all_rights(self) -> bool:
        """Whether the destination's own check finds nothing missing."""
        target = self.open()
        try:
            return isinstance(target, SupportsCheck) and all(one.is_fine for one in target.check())
        except Exception:
            # Whatever a client library throws; then nobody knows.
            return False
        finally:
            self.close(target)

    def _work(self, due: Sequence[tuple[str, str]]) -> None:
        self.chain_of = dict(due)
        first = self.open()
        if isinstance(first, Transactional):
            self._keep(first, [key for key, _ in due])
            return
        limits = routes(self.settings).limits_of(self.name, getattr(first, "limits", Limits()))
        chains: dict[str, list[str]] = {}
        for key, link in due:
            chains.setdefault(link, []).append(key)
        waiting = deque(chains.values())
        pace = RateLimiter(limits.per_second, self.leases)
        if self.pause:
            if not self._answers(first):
                self.close(first)
                return
            Crew(self, waiting, pace, limits.concurrency, is_probing=True).work([first])
            if self.pause and self._failed_probes and not self.stopped:
                self._stop_again()
            if self.stopped or not waiting:
                return
            first = self.open()
        size = 1 if self.given else min(limits.concurrency, len(waiting))
        Crew(self, waiting, pace, limits.concurrency).work([first, *[None] * (size - 1)])

    def _answers(self, target: Destination) -> bool:
        """Whether a probe may be sent: a thing that nobody can ask for is sent only to a system that answers."""
        if can_be_asked(target) or not isinstance(target, Knockable):
            return True
        try:
            target.knock()
        except (Unreachable, RateLimited) as error:
            self.stop(error)
        except Exception as error:
            self.stop(Unreachable(f"{self.name} does not answer: {describe(error, self.settings)}"))
        return self.stopped is None

    def _keep(self, target: Transactional, keys: Sequence[str]) -> None:
        trier = self.trier(target)
        for start in range(0, len(keys), KEPT_AT_ONCE):
            # One dispatcher at a time: two would write the same previews.
            if self.leases.claim(_ALL, most=1) is not Claim.GRANTED:
                self.held.append(_ALL)
                return
            outcomes = []
            for action in load_due(self.engine, keys[start : start + KEPT_AT_ONCE], self.clock()):
                try:
                    outcomes.append(trier.attempt(action))
                except NotYet:
                    continue
            if outcomes:
                self.write(outcomes, kept=target)


def _counted(outcome: Outcome) -> str:
    if outcome.result in GOT_THROUGH:
        return "updated" if outcome.action.sent_at else "sent"
    return outcome.result
