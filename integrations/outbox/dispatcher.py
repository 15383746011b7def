"""The one function that leads to a destination: check, send, mark.

There is no other road, so the ledger is never bypassed. What a crash leaves behind is an action that is still due,
and looking before creating finds what it had made; where nobody can be asked, "begun" precedes the send. On SQLite one
process works on a channel, by a lock that dies with it. On Postgres several may, and claim what they work on: see
`leases`. What happens at one destination is `lanes`.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import Destination, exists
from integrations.errors import DestinationUnavailable
from integrations.outbox import circuit_breaker
from integrations.outbox.engine import check_writable, is_shared
from integrations.outbox.following import follow
from integrations.outbox.leases import take_from_the_gone
from integrations.outbox.locks import process_lock
from integrations.outbox.models import DispatchReport
from integrations.outbox.queue import backlog, due_keys
from integrations.outbox.worker import Worker
from integrations.routes import configured

_RESULTS = ("sent", "updated", "retrying", "dead", "skipped")


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

    The channel's destinations are worked on side by side. One that says `DestinationUnavailable` or `RateLimited`, or
    that refuses or cannot be reached many times in a row, stops and holds up no other: see `circuit_breaker`.

    Args:
        engine: the outbox's engine.
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
    clock = _clock(now)
    with _channel_lock(engine, channel) as held:
        done: Counter[str] = Counter()
        if held:
            done = _work(engine, channel, settings, clock, limit, destination)
    left = backlog(engine, channel, clock())
    stops = [pause.until for pause in circuit_breaker.all_pauses(engine) if pause.channel == channel]
    return DispatchReport(
        sent=done["sent"],
        updated=done["updated"],
        retrying=done["retrying"],
        dead=done["dead"],
        skipped=done["skipped"],
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
    follow(engine, channel, settings, clock(), (given.name,) if given else None)
    due = due_keys(engine, channel, clock(), limit)
    writer, halt = threading.Lock(), threading.Event()

    def work(name: str) -> Counter[str]:
        mine = given if given and given.name == name else None
        if mine is None and not exists(channel, name):
            if not given:
                configured(channel, settings)
            # What was made in a system that this aftercall does not know can only wait there.
            told = DestinationUnavailable(
                f"there is no destination {name!r} any more; give its actions up, or bring it back"
            )
            circuit_breaker.pause(engine, channel, name, told, clock(), settings)
            return Counter()
        lane = Worker(engine, channel, name, settings, clock, mine, writer, halt)
        done = lane.run(due[name])
        done["held"] += len(lane.held)
        return done

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
