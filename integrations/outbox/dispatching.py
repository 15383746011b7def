"""The one function that leads to a destination: check, send, mark.

There is no other road, so the ledger is never bypassed. Nothing is claimed before it is sent: what a crash
leaves behind is an action that is still due, and looking before creating finds what it had made. Who may work
on a channel is decided by a lock that dies with its process.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Destination, Earlier, KeptInOutbox, open_destination
from integrations.errors import Busy, Gone, Paused, Refused, Retryable, Skipped, describe
from integrations.outbox import circuit
from integrations.outbox.backlog import backlog, due_keys, load_due, made_before, parents
from integrations.outbox.backoff import wait
from integrations.outbox.deciding import HELD_BACK
from integrations.outbox.engine import writing
from integrations.outbox.locks import process_lock
from integrations.outbox.marking import Outcome, mark
from integrations.outbox.records import Action, DispatchReport, Pause
from integrations.outbox.schema import UPDATABLE

KEPT_AT_ONCE = 200
# Results that show that the destination can be reached and takes our key; a refusal may be our own.
GOT_THROUGH = frozenset({"sent", "found"})


def dispatch(
    engine: Engine,
    channel: str,
    settings: IntegrationSettings,
    *,
    now: datetime | None = None,
    limit: int | None = None,
    destination: Destination | None = None,
) -> DispatchReport:
    """Try every action of a channel that is due, each once; one that fails never holds up the others.

    A destination that says `Paused` or `Busy` stops the channel: see `circuit`.

    Args:
        engine: the outbox's engine.
        channel: ticket, email, crm or slack.
        settings: destination, backoff and limits.
        now: a moment that stands still for the whole pass, UTC; default: the clock.
        limit: most actions to try.
        destination: instead of the one that the settings name.

    Raises:
        UnknownDestination: if the settings name one that does not exist.
    """
    clock = _clock(now)
    with process_lock(engine, channel, wait=False) as held:
        done: Counter[str] = Counter()
        if held:
            done = _work(engine, channel, settings, clock, limit, destination)
    left = backlog(engine, channel, clock())
    stopped = circuit.pause_of(engine, channel)
    return DispatchReport(
        sent=done["sent"],
        updated=done["updated"],
        retrying=done["retrying"],
        dead=done["dead"],
        skipped=done["skipped"],
        waiting=left.due + left.later,
        due=left.due,
        next_attempt_at=left.next_attempt_at,
        busy=not held,
        paused_until=stopped.until if stopped and stopped.until > clock() else None,
    )


def _work(
    engine: Engine,
    channel: str,
    settings: IntegrationSettings,
    clock: Callable[[], datetime],
    limit: int | None,
    destination: Destination | None,
) -> Counter[str]:
    name = destination.name if destination else settings.destination_of(channel)
    stopped = circuit.pause_of(engine, channel)
    if stopped and stopped.destination == name and stopped.until > clock():
        return Counter()
    keys = due_keys(engine, channel, clock(), limit)
    try:
        with _opened(channel, settings, destination) as target:
            work = _Pass(engine, target, settings, clock, stopped)
            done = work.run(keys)
        reason = work.stopped
    except Paused as error:
        # Raised while it was opened: a setting is missing.
        done, reason = Counter(), error if keys else None
    if reason is not None:
        circuit.pause(engine, channel, name, reason, clock(), settings)
    return done


@contextmanager
def _opened(channel: str, settings: IntegrationSettings, given: Destination | None) -> Iterator[Destination]:
    if given is not None:
        yield given
        return
    target = open_destination(channel, settings)
    try:
        yield target
    finally:
        getattr(target, "close", lambda: None)()


class _Pass:
    """One pass over a channel."""

    def __init__(
        self,
        engine: Engine,
        target: Destination,
        settings: IntegrationSettings,
        clock: Callable[[], datetime],
        pause: Pause | None = None,
    ) -> None:
        self.engine, self.target, self.settings, self.clock = engine, target, settings, clock
        self.pause = pause
        self.stopped: Paused | Busy | None = None
        self.kept = target if isinstance(target, KeptInOutbox) else None
        self.made: dict[str, str] = {}

    def run(self, keys: Sequence[str]) -> Counter[str]:
        """Try these actions in order. What has an effect outside is marked at once, on disk, one by one."""
        size = KEPT_AT_ONCE if self.kept else 1
        done: Counter[str] = Counter()
        for start in range(0, len(keys), size):
            outcomes = list(self._tried(load_due(self.engine, keys[start : start + size], self.clock())))
            self._mark(outcomes)
            done.update(_counted(outcome) for outcome in outcomes)
            if self.stopped is not None:
                break
        return done

    def _mark(self, outcomes: list[Outcome]) -> None:
        if not outcomes:
            return
        with writing(self.engine, durable=self.kept is None) as write:
            if self.kept:
                self.kept.keep(write.connection, self.clock())
            mark(write, outcomes)
            if self.pause and any(outcome.result in GOT_THROUGH for outcome in outcomes):
                circuit.end(write, self.pause.channel)
                self.pause = None

    def _tried(self, actions: Sequence[Action]) -> Iterator[Outcome]:
        keys = {action.parent_key for action in actions if action.parent_key}
        known = parents(self.engine, keys) if keys else {}
        for action in actions:
            contact_id = self.made.get(action.parent_key or "")
            parent = known.get(action.parent_key or "")
            if parent and contact_id is None:
                if not parent.is_settled:
                    continue
                contact_id = parent.external_id if parent.destination == self.target.name else None
            try:
                yield self._try(action, contact_id)
            except Paused as error:
                self.stopped = error
            if self.stopped is not None:
                return

    def _try(self, action: Action, contact_id: str | None) -> Outcome:
        started = self.clock()
        delivery = Delivery(
            action.action_key, action.channel, action.kind, action.source, action.call_id, action.payload,
            at=started, contact_id=contact_id, earlier=self._made_before(action),
        )  # fmt: skip
        try:
            external_id, result = self._send(action, delivery)
        except Paused:
            raise
        except Skipped as error:
            told = HELD_BACK + describe(error, self.settings)
            return Outcome(action, self.target.name, "skipped", started, self.clock(), error=told)
        except Refused as error:
            return self._failure(action, started, error, final=True)
        except Exception as error:
            # Whatever a client library throws: the next action must still get its turn.
            self.stopped = error if isinstance(error, Busy) else None
            return self._failure(action, started, error, final=False)
        self.made[action.action_key] = external_id
        return Outcome(action, self.target.name, result, started, self.clock(), external_id)

    def _made_before(self, action: Action) -> tuple[Earlier, ...]:
        return () if self.kept else made_before(self.engine, action, self.target.name)

    def _send(self, action: Action, delivery: Delivery) -> tuple[str, str]:
        # An id that another destination gave says nothing to this one.
        own = action.external_id if action.destination == self.target.name else None
        if own is not None:
            with suppress(Gone):
                return self.target.send(delivery, own), "sent"
        found = self.target.find(delivery)
        if found is not None and action.kind not in UPDATABLE:
            return found, "found"
        # A search may still list what was deleted.
        with suppress(Gone):
            return self.target.send(delivery, None if found == own else found), "sent"
        return self.target.send(delivery, None), "sent"

    def _failure(self, action: Action, started: datetime, error: Exception, *, final: bool) -> Outcome:
        failures = action.failures + 1
        dead = final or failures >= self.settings.retry_max_attempts
        after = error.after if isinstance(error, Retryable) else None
        finished = self.clock()
        return Outcome(
            action,
            self.target.name,
            "dead" if dead else "retrying",
            started,
            finished,
            error=describe(error, self.settings),
            next_attempt_at=None if dead else finished + wait(failures, self.settings, after),
        )


def _counted(outcome: Outcome) -> str:
    if outcome.result in ("sent", "found"):
        return "updated" if outcome.action.sent_at else "sent"
    return outcome.result


def _clock(fixed: datetime | None) -> Callable[[], datetime]:
    return lambda: fixed or datetime.now(UTC)
