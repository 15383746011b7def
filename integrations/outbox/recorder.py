"""The record of a pass at one destination: outcomes go on disk, and the circuit breaker learns of them.

One thread calls `write` for all that send. When a destination stops, and for how long, is `circuit_breaker`.
"""

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import Transactional
from integrations.errors import DestinationUnavailable, RateLimited, Unreachable
from integrations.outbox import circuit_breaker
from integrations.outbox.attempt import Clock
from integrations.outbox.engine import Write, insistently, writing
from integrations.outbox.leases import Leases
from integrations.outbox.models import Action, Pause
from integrations.outbox.results import GOT_THROUGH, STOPPED, Outcome, begin, mark, unmarked

# Something may be wrong with one action; with so many that a probe tried it is not only they.
PROBES_AT_ONCE = 3


@dataclass
class Recorder:
    """What a pass at one destination has done, and whether the destination has stopped.

    Args:
        engine: the outbox's engine.
        channel: the channel.
        name: the destination's name.
        settings: of the installation.
        clock: the time.
        writer: shared by the destinations of a pass, which write to one outbox.
        leases: the claims of this pass.
        done: how many actions came to which result.
        ids: ids of the records that this pass wrote, by due key; shared by the senders.
        chain_of: the chain of each action that is due, by key.
        held: chains that could not be claimed.
        pause: the destination's pause, until something gets through.
        stopped: why nothing more is begun.
    """

    engine: Engine
    channel: str
    name: str
    settings: IntegrationSettings
    clock: Clock
    writer: threading.Lock = field(default_factory=threading.Lock)
    done: Counter[str] = field(default_factory=Counter)
    ids: dict[str, str] = field(default_factory=dict)
    chain_of: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    pause: Pause | None = None
    stopped: circuit_breaker.Stop | None = None

    def __post_init__(self) -> None:
        self.leases = Leases(self.engine, self.channel, self.name, self.settings, self.clock)
        self._was_paused, self._failed_probes = False, list[Outcome]()
        self._probe: Pause | None = None

    def start(self) -> bool:
        """True if the destination works, or may be probed by this pass."""
        self.pause = circuit_breaker.pause_of(self.engine, self.channel, self.name)
        if self.pause is None:
            return True
        self._was_paused = True
        return self.pause.until <= self.clock() and self._may_probe(self.pause)

    def finish(self) -> None:
        """Write whether the destination has stopped."""
        if self.stopped is not None:
            self._pause(self.stopped)
        elif self.pause and self._probe:
            # The probe showed nothing, so anybody may probe at once.
            circuit_breaker.take_probe(self.engine, self._probe, self.pause.until)

    def stop(self, reason: circuit_breaker.Stop) -> None:
        """Begin nothing more; the first reason counts."""
        self.stopped = self.stopped or reason

    def stop_after_probes(self) -> None:
        """Stop if every probe failed, and nothing got through."""
        if self.pause and self._failed_probes and not self.stopped:
            last = self._failed_probes[-1].error
            self.stop(
                DestinationUnavailable(
                    f"actions are still refused or fail, so it is hardly their content; the last one: {last}"
                )
            )

    def write(
        self,
        outcomes: Sequence[Outcome],
        begins: Sequence[Action] = (),
        ended: Collection[str] = (),
        target: Transactional | None = None,
    ) -> set[str]:
        """Write down outcomes and sends that begin, on disk; the circuit learns of the outcomes with them.

        The chains that have `ended` are let go. `target`: the effect of the outcomes is written with them. Returns the
        keys of what may be sent now: an action that another dispatcher holds by now may not.
        """

        def write(is_again: bool) -> set[str]:
            with self.writer, writing(self.engine, durable=target is None) as write:
                if target:
                    target.keep(write.connection, self.clock())
                left = unmarked(write, outcomes) if is_again else outcomes
                return self._write(write, left, begins, ended, target)

        granted = insistently(self.engine, write)
        self.done.update(_counted(outcome) for outcome in outcomes if outcome.result != STOPPED)
        return granted

    def _write(
        self,
        write: Write,
        outcomes: Sequence[Outcome],
        begins: Sequence[Action],
        ended: Collection[str],
        target: Transactional | None,
    ) -> set[str]:
        chains = {key: self.chain_of[key] for key in (one.action.action_key for one in outcomes)}
        foreign = self.leases.foreign(write.connection, chains.values())
        mark(write, outcomes, {key for key, chain in chains.items() if chain in foreign})
        wanted = {self.chain_of[action.action_key] for action in begins}
        own = self.leases.extended(write.connection, wanted | set(chains.values()) - set(ended))
        self.leases.let_go(write.connection, ended)
        # What a preview refuses is content, whatever the number: nobody is asked.
        if target is None and outcomes:
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
                circuit_breaker.reopen_refused(write, self.channel, self.name, outcome.finished_at)
        if any(outcome.result in GOT_THROUGH for outcome in outcomes):
            if before.refused:
                circuit_breaker.settle_refused(write, self.channel, self.name)
            if self.pause:
                circuit_breaker.end(write, self.channel, self.name)
                self.pause, before = None, circuit_breaker.Streak()
        if streak != before:
            circuit_breaker.write_streak(write, self.channel, self.name, streak)

    def _learn_stop(self, outcome: Outcome) -> None:
        if isinstance(outcome.cause, DestinationUnavailable | RateLimited | Unreachable):
            self.stop(outcome.cause)
        elif isinstance(outcome.cause, OSError):
            self.stop(Unreachable(outcome.error or ""))
        else:
            self._failed_probes.append(outcome)
            if len(self._failed_probes) >= PROBES_AT_ONCE:
                self.stop_after_probes()

    def _pause(self, reason: circuit_breaker.Stop) -> None:
        arguments = (self.engine, self.channel, self.name, reason, self.clock(), self.settings)
        insistently(self.engine, lambda _: circuit_breaker.pause(*arguments, is_probe=self._was_paused))

    def _may_probe(self, pause: Pause) -> bool:
        """False if another dispatcher finds out whether the pause may end."""
        if not self.leases.is_shared:
            return True
        later = self.clock() + timedelta(seconds=self.settings.pause_base_seconds)
        self._probe = replace(pause, until=later)
        return circuit_breaker.take_probe(self.engine, pause, later)


def _counted(outcome: Outcome) -> str:
    if outcome.result in GOT_THROUGH:
        return "updated" if outcome.action.sent_at else "sent"
    return outcome.result
