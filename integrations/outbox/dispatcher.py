"""One pass over a channel: `dispatch` checks, sends and marks; `plans` says what it would do.

No other function leads to a destination, so the ledger is never bypassed. What a crash leaves behind is an action that
is still due, and looking before creating finds the record that it had created; where nobody can be asked, "begun"
precedes the send. On SQLite one process works on a channel, by a lock that dies with it. On Postgres several may, and
claim what they work on: see `leases`. What happens at one destination is `worker`.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import (
    Destination,
    Transactional,
    UnknownDestination,
    exists,
    open_destination,
)
from integrations.errors import DestinationUnavailable, RateLimited, Rejected, describe
from integrations.outbox import circuit_breaker
from integrations.outbox.attempt import CREATE, FAIL, NOTHING, SKIP, UPDATE, WAIT, Plan, Sender
from integrations.outbox.engine import check_writable, is_shared
from integrations.outbox.enqueue import reroute, rerouted
from integrations.outbox.leases import process_lock, take_from_the_gone
from integrations.outbox.models import Action, DispatchReport
from integrations.outbox.queries import Queries
from integrations.outbox.queue import backlog, due_keys, load_due, not_routed
from integrations.outbox.recorder import Recorder
from integrations.outbox.schema import SkipReason
from integrations.outbox.transitions import SKIP_TEXTS
from integrations.outbox.worker import Worker
from integrations.routes import configured

_RESULTS = ("sent", "updated", "retrying", "dead", "skipped")


def dispatch(
    outbox: Queries,
    channel: str,
    settings: IntegrationSettings,
    *,
    now: datetime | None = None,
    limit: int | None = None,
    destination: Destination | None = None,
) -> DispatchReport:
    """Try every action of a channel that is due, each once; one that fails never holds up the others.

    The channel's destinations are worked on side by side. One that says `DestinationUnavailable` or `RateLimited`, or
    that refuses or cannot be reached many times in a row, stops and holds up no other: see `circuit_breaker`.

    Args:
        outbox: the outbox.
        channel: ticket, email, crm or chat.
        settings: destinations, backoff and limits.
        now: a moment that stands still for the whole pass, UTC; default: the clock.
        limit: most actions to try.
        destination: instead of those that the settings name.

    Raises:
        UnknownDestination: if the settings name one that does not exist; the others have been worked on.
        BadRoutes: if the file of routes cannot be followed.
        OutboxNotWritable: if the outbox cannot be written; then nothing more is sent.
    """
    engine, clock = outbox.engine, _clock(now)
    with _channel_lock(engine, channel) as held:
        done: Counter[str] = Counter()
        if held:
            done = _work(engine, channel, settings, clock, limit, destination)
    left = backlog(engine, channel, clock())
    stops = [pause.until for pause in circuit_breaker.all_pauses(engine) if pause.channel == channel]
    return DispatchReport(
        **{result: done[result] for result in _RESULTS},
        waiting=left.due + left.later,
        due=left.due,
        next_attempt_at=left.next_attempt_at,
        busy=not held or (done["held"] > 0 and not any(done[result] for result in _RESULTS)),
        paused_until=min((until for until in stops if until > clock()), default=None),
    )


def _work(
    engine: Engine,
    channel: str,
    settings: IntegrationSettings,
    clock: Callable[[], datetime],
    limit: int | None,
    given: Destination | None,
) -> Counter[str]:
    reroute(engine, channel, settings, clock(), (given.name,) if given else None)
    due = due_keys(engine, channel, clock(), limit)
    writer, halt = threading.Lock(), threading.Event()

    def work(name: str) -> Counter[str]:
        opened = given if given and given.name == name else None
        if opened is None and not exists(channel, name):
            if not given:
                configured(channel, settings)
            # Its records are in a system that this aftercall does not know: they can only wait there.
            error = DestinationUnavailable(
                f"there is no destination {name!r} any more; give its actions up, or bring it back"
            )
            circuit_breaker.pause(engine, channel, name, error, clock(), settings)
            return Counter()
        recorder = Recorder(engine, channel, name, settings, clock, writer)
        return Worker(recorder, opened, halt).run(due[name])

    if not due:
        return Counter()
    check_writable(engine)
    take_from_the_gone(engine)
    # A thread also for a single one: an interrupt comes to the main thread only, and so never between send and mark.
    with ThreadPoolExecutor(len(due), thread_name_prefix=f"aftercall-{channel}") as pool:
        passes = [pool.submit(work, name) for name in due]
        try:
            wait(passes)
        except BaseException:
            # Interrupted: what is under way is marked, and nothing more is begun.
            halt.set()
            raise
    return sum((one.result() for one in passes), Counter[str]())


@contextmanager
def _channel_lock(engine: Engine, channel: str) -> Iterator[bool]:
    if is_shared(engine):
        yield True
        return
    with process_lock(engine, channel, wait=False) as held:
        yield held


def _clock(fixed: datetime | None) -> Callable[[], datetime]:
    return lambda: fixed or datetime.now(UTC)


def plans(
    engine: Engine, channel: str, settings: IntegrationSettings, now: datetime, limit: int
) -> Iterator[Plan]:
    """What a pass would do to a channel's due actions, in the order of sending. Raises BadRoutes.

    Destinations are asked, each opened once, and never changed. Actions go where the configuration leads them now.
    """
    due: dict[str, list[Action]] = defaultdict(list)
    known = not_routed(engine, channel)
    with rerouted(engine, channel, settings, now) as connection:
        keys = [key for pairs in due_keys(connection, channel, now, limit).values() for key, _ in pairs]
        for action in load_due(connection, keys, now):
            due[action.destination].append(action)
        dropped = not_routed(connection, channel)
    reason = SKIP_TEXTS[SkipReason.NOT_ROUTED]
    yield from (Plan(action, NOTHING, reason) for key, action in dropped.items() if key not in known)
    for name, actions in due.items():
        yield from _plans_at(engine, channel, name, actions, settings, now)


def _plans_at(
    engine: Engine,
    channel: str,
    name: str,
    actions: list[Action],
    settings: IntegrationSettings,
    now: datetime,
) -> Iterator[Plan]:
    """Plans of what is due at one destination; once it would stop it is asked no more."""
    pause = circuit_breaker.pause_of(engine, channel, name)
    if pause and pause.until > now:
        reason = f"{name} has stopped until {pause.until:%H:%M:%S} UTC: {pause.reason}"
        yield from (Plan(action, WAIT, reason) for action in actions)
        return
    with ExitStack() as opened:
        try:
            target = open_destination(channel, settings, name)
        except (DestinationUnavailable, UnknownDestination) as error:
            yield from (Plan(action, FAIL, describe(error, settings)) for action in actions)
            return
        opened.callback(getattr(target, "close", lambda: None))
        sender = Sender(engine, target, settings, lambda: now, {})
        streak, stop = circuit_breaker.streak_of(engine, channel, name), None
        order = _Order(sender.ids)
        for action in actions:
            if held_up := order.missing(action):
                plan = Plan(action, WAIT, held_up)
            elif stop:
                plan = Plan(action, WAIT, f"{name} would have stopped: {describe(stop, settings)}")
            else:
                plan = sender.plan(action)
                streak = streak.after(plan.cause)
                stop = None if isinstance(target, Transactional) else _stop(plan.cause, streak, settings)
            order.note(plan)
            yield plan


def _stop(
    error: Exception | None, streak: circuit_breaker.Streak, settings: IntegrationSettings
) -> circuit_breaker.Stop | None:
    return error if isinstance(error, DestinationUnavailable | RateLimited) else streak.stops(error, settings)


class _Order:
    """What goes before what: a contact before its notes and tasks, a note before its task; as far as a pass gets.

    Args:
        ids: ids by due key, as a sender knows them; those of planned records are noted there.
    """

    def __init__(self, ids: dict[str, str]) -> None:
        self._ids, self._waiting = ids, set[Any]()

    def missing(self, action: Action) -> str:
        """What of this pass would not be there yet; empty if nothing is missing."""
        if action.parent_key in self._waiting:
            return "its contact goes first"
        is_late = action.kind == "task" and _call_of(action) in self._waiting
        return "its note goes first" if is_late else ""

    def note(self, plan: Plan) -> None:
        """Note what would become of an action that others may hang on."""
        action = plan.action
        is_settled = plan.does in (CREATE, UPDATE, NOTHING, SKIP) or isinstance(plan.cause, Rejected)
        if is_settled or action.external_id:
            self._ids[action.due_key] = action.external_id or ""
        else:
            self._waiting |= {action.due_key} | ({_call_of(action)} if action.kind == "note" else set())


def _call_of(action: Action) -> tuple[str | None, ...]:
    return action.source, action.call_id, action.parent_key
