"""Pauses and resumes destinations: when nothing would get through, the other actions need not find out too.

A pause is a row. While it lasts nothing of the destination is due; then one action is tried as the probe, each time
another: if it gets through, the pause ends, else it goes on for longer. A destination stops because it says so
(`DestinationUnavailable`, `RateLimited`), or because of a streak: so many actions that failed by themselves, or so
many failures of the system, in a row. Only what gets through ends a row. What was refused in the row that stopped the
destination waits with the others: a row of refusals is hardly their content. What aftercall refuses itself says
nothing of a system. A failure of the system of an action that was stopped at before, while others got through,
concerns that action alone. Several dispatchers share the rows: the streak is counted in the transaction that marks, and
a pause that is over is probed by the one that takes it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, insert, select, update

from integrations.config import IntegrationSettings
from integrations.errors import (
    DestinationUnavailable,
    Forbidden,
    RateLimited,
    Rejected,
    Suppressed,
    TransientError,
    Unreachable,
    Unsendable,
    describe,
)
from integrations.outbox.engine import Write, reading, writing
from integrations.outbox.models import Pause
from integrations.outbox.retry import LONGEST_WISH
from integrations.outbox.schema import actions, pauses, streaks
from integrations.outbox.transitions import Event, change

Stop = DestinationUnavailable | RateLimited | Unreachable


def pause_of(engine: Engine, channel: str, destination: str) -> Pause | None:
    """The destination's pause, also one that is over but not yet proven to be."""
    place = (channel, destination)
    return next((one for one in all_pauses(engine) if (one.channel, one.destination) == place), None)


def all_pauses(engine: Engine) -> list[Pause]:
    """Every pause, the oldest first."""
    query = select(pauses).order_by(pauses.c.since, pauses.c.channel, pauses.c.destination)
    with reading(engine) as connection:
        return [Pause(**row) for row in connection.execute(query).mappings()]


def pause(
    engine: Engine,
    channel: str,
    destination: str,
    error: Stop,
    now: datetime,
    settings: IntegrationSettings,
    *,
    is_probe: bool = False,
) -> None:
    """Stop a destination, or, after a probe, let its pause go on for longer."""
    is_this = _at(pauses, channel, destination)
    with writing(engine) as write:
        row = write.connection.execute(select(pauses).where(is_this)).mappings().first()
        before = Pause(**row) if row else None
        times = before.times if before else 0
        if before and before.until > now and not is_probe:
            # Another dispatcher has stopped it at the same moment.
            return
        new = Pause(
            channel,
            destination,
            describe(error, settings),
            since=before.since if before else now,
            until=now + _length(error, times, settings),
            times=times + 1,
            is_alerted=_is_for_a_person(error, times) or (before is not None and before.is_alerted),
        )
        change = update(pauses).where(is_this) if row else insert(pauses)
        write.connection.execute(change.values(**vars(new)))


def take_probe(engine: Engine, known: Pause, until: datetime) -> bool:
    """True if the pause was as it is known, and lasts until this moment now (UTC): one dispatcher at a time probes."""
    as_known = and_(_at(pauses, known.channel, known.destination), pauses.c.until == known.until)
    with writing(engine) as write:
        return write.connection.execute(update(pauses).where(as_known).values(until=until)).rowcount == 1


def end(write: Write, channel: str, destination: str | None = None) -> None:
    """Let a destination, or every one of the channel, work again; nothing if it was not paused."""
    for table in (pauses, streaks):
        is_meant = _at(table, channel, destination) if destination else table.c.channel == channel
        write.connection.execute(delete(table).where(is_meant))


@dataclass(frozen=True)
class Streak:
    """Actions that failed by themselves, and failures of the system, in a row; only what gets through ends both."""

    refused: int = 0
    unreachable: int = 0

    def after(self, error: BaseException | None) -> "Streak":
        """The streak after one more try.

        What no system was asked for says nothing. A system that asks to wait has stopped already.
        """
        if error is None:
            return Streak()
        if isinstance(error, Suppressed | Unsendable | RateLimited):
            return self
        if isinstance(error, Unreachable | OSError):
            return Streak(self.refused, self.unreachable + 1)
        if isinstance(error, Rejected | Forbidden | DestinationUnavailable):
            # Whoever refuses was reached.
            return Streak(self.refused + 1)
        return Streak(self.refused + 1, self.unreachable)

    def stops(self, error: BaseException | None, settings: IntegrationSettings) -> Stop | None:
        """Why the destination stops now, if it does."""
        text = describe(error, settings) if error else ""
        if self.refused >= settings.stop_after_refusals:
            return DestinationUnavailable(
                f"{self.refused} actions in a row were refused or failed, so it is hardly their content; "
                f"the last one: {text}"
            )
        if self.unreachable >= settings.stop_after_unreachable:
            after = error.after if isinstance(error, Unreachable) else None
            return Unreachable(
                f"the system failed {self.unreachable} times in a row; the last time: {text}", after
            )
        return None


def streak_of(engine: Engine | Connection, channel: str, destination: str) -> Streak:
    """The streak as it is now."""
    query = select(streaks.c.refused, streaks.c.unreachable).where(_at(streaks, channel, destination))
    with reading(engine) as connection:
        row = connection.execute(query).first()
    return Streak(row[0], row[1]) if row else Streak()


def write_streak(write: Write, channel: str, destination: str, streak: Streak) -> None:
    """Store a streak for the next pass."""
    is_this = _at(streaks, channel, destination)
    if streak == Streak():
        write.connection.execute(delete(streaks).where(is_this))
        return
    values = {"refused": streak.refused, "unreachable": streak.unreachable}
    if write.connection.execute(update(streaks).where(is_this).values(**values)).rowcount == 0:
        fresh = {"channel": channel, "destination": destination, **values}
        write.connection.execute(insert(streaks).values(**fresh))


def reopen_refused(write: Write, channel: str, destination: str, now: datetime) -> None:
    """Have the actions that were refused in the row wait with the others: their destination has stopped."""
    is_open = and_(actions.c.status.in_(Event.DESTINATION_STOP.before), actions.c.given_up_by.is_(None))
    values = change(Event.DESTINATION_STOP, updated_at=now, change_number=write.number)
    is_refused = _is_refused(channel, destination)
    write.connection.execute(update(actions).where(is_refused, is_open).values(**values))


def settle_refused(write: Write, channel: str, destination: str) -> None:
    """Something got through: what was refused before was refused for its own content."""
    values = change(Event.DESTINATION_WORKS)
    write.connection.execute(update(actions).where(_is_refused(channel, destination)).values(**values))


def _is_refused(channel: str, destination: str) -> Any:
    return and_(_at(actions, channel, destination), actions.c.refused_in_row)


def _at(table: Any, channel: str, destination: str) -> Any:
    return and_(table.c.channel == channel, table.c.destination == destination)


def _is_for_a_person(error: Stop, times: int) -> bool:
    # A system that is back at the first look needs nobody.
    return isinstance(error, DestinationUnavailable) or (isinstance(error, Unreachable) and times > 0)


def _length(error: Stop, times: int, settings: IntegrationSettings) -> timedelta:
    """As long as the system asks to wait, else longer each time."""
    if isinstance(error, TransientError) and error.after is not None:
        return min(error.after, LONGEST_WISH)
    return timedelta(
        seconds=min(settings.pause_cap_seconds, settings.pause_base_seconds * 2.0 ** min(times, 64))
    )
