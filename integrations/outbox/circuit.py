"""Destinations that stop: when nothing would get through, the other actions need not find out too.

A pause is a row. While it lasts nothing of the destination is due; then one action is tried as the probe, each time
another: if it gets through, the pause ends, else it goes on for longer. A destination stops because it says so
(`Paused`, `Busy`), or because of a streak: so many refusals, or so many failures to reach it, in a row. `Paused` of an
action that was stopped at before, while others got through, concerns that action alone: it counts as a refusal. Whether
`Forbidden` stops a destination is found out by `doubts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, and_, delete, insert, select, update

from integrations.config import IntegrationSettings
from integrations.errors import Busy, Paused, Refused, Skipped, Unreachable, describe
from integrations.outbox.backoff import LONGEST_WISH
from integrations.outbox.engine import Write, reading, writing
from integrations.outbox.records import Pause
from integrations.outbox.schema import pauses, streaks

Stop = Paused | Busy | Unreachable


def pause_of(engine: Engine, channel: str, destination: str) -> Pause | None:
    """The destination's pause, also one that is over but not yet proven to be."""
    found = (pause for pause in all_pauses(engine) if pause.channel == channel)
    return next((pause for pause in found if pause.destination == destination), None)


def all_pauses(engine: Engine) -> list[Pause]:
    """Every pause, the oldest first."""
    query = select(pauses).order_by(pauses.c.since, pauses.c.channel, pauses.c.destination)
    with reading(engine) as connection:
        return [_as_pause(row) for row in connection.execute(query).mappings()]


def pause(
    engine: Engine, channel: str, destination: str, error: Stop, now: datetime, settings: IntegrationSettings
) -> None:
    """Stop a destination, or let its pause go on for longer."""
    mine = _mine(pauses, channel, destination)
    with writing(engine) as write:
        row = write.connection.execute(select(pauses).where(mine)).mappings().first()
        before = _as_pause(row) if row else None
        times = before.times if before else 0
        found = Pause(
            channel,
            destination,
            describe(error, settings),
            since=before.since if before else now,
            until=now + _length(times, error.after, settings),
            times=times + 1,
            is_alerted=_is_for_a_person(error, times) or (before is not None and before.is_alerted),
        )
        change = update(pauses).where(mine) if row else insert(pauses)
        write.connection.execute(change.values(**vars(found)))


def end(write: Write, channel: str, destination: str | None = None) -> None:
    """Let a destination, or every one of the channel, work again; nothing if it was not paused."""
    for table in (pauses, streaks):
        mine = _mine(table, channel, destination) if destination else table.c.channel == channel
        write.connection.execute(delete(table).where(mine))


@dataclass(frozen=True)
class Streak:
    """Refusals, and failures to reach a destination, in a row; whatever else happens ends them."""

    refused: int = 0
    unreachable: int = 0

    def after(self, error: BaseException | None) -> "Streak":
        """The streak after one more try; one that the destination held back says nothing."""
        if isinstance(error, Skipped):
            return self
        if isinstance(error, Refused | Paused):
            return Streak(refused=self.refused + 1)
        if isinstance(error, Unreachable | OSError):
            return Streak(unreachable=self.unreachable + 1)
        return Streak()

    def stops(self, error: BaseException | None, settings: IntegrationSettings) -> Stop | None:
        """Why the destination stops now, if it does."""
        told = describe(error, settings) if error else ""
        if self.refused >= settings.stop_after_refusals:
            return Paused(
                f"{self.refused} actions in a row were refused, so it is hardly their content; the last one: {told}"
            )
        if self.unreachable >= settings.stop_after_unreachable:
            after = error.after if isinstance(error, Unreachable) else None
            return Unreachable(f"not reached {self.unreachable} times in a row; the last time: {told}", after)
        return None


def streak_of(engine: Engine, channel: str, destination: str) -> Streak:
    """The streak that the last pass left."""
    query = select(streaks.c.refused, streaks.c.unreachable).where(_mine(streaks, channel, destination))
    with reading(engine) as connection:
        row = connection.execute(query).first()
    return Streak(row[0], row[1]) if row else Streak()


def keep_streak(write: Write, channel: str, destination: str, streak: Streak) -> None:
    """Remember a streak for the next pass."""
    mine = _mine(streaks, channel, destination)
    if streak == Streak():
        write.connection.execute(delete(streaks).where(mine))
        return
    values = {"refused": streak.refused, "unreachable": streak.unreachable}
    if write.connection.execute(update(streaks).where(mine).values(**values)).rowcount == 0:
        fresh = {"channel": channel, "destination": destination, **values}
        write.connection.execute(insert(streaks).values(**fresh))


def _mine(table: Any, channel: str, destination: str) -> Any:
    return and_(table.c.channel == channel, table.c.destination == destination)


def _is_for_a_person(error: Stop, times: int) -> bool:
    # A system that is back at the first look needs nobody.
    return isinstance(error, Paused) or (isinstance(error, Unreachable) and times > 0)


def _length(times: int, after: timedelta | None, settings: IntegrationSettings) -> timedelta:
    if after is not None:
        return min(after, LONGEST_WISH)
    return timedelta(
        seconds=min(settings.pause_cap_seconds, settings.pause_base_seconds * 2.0 ** min(times, 64))
    )


def _as_pause(row: Mapping[Any, Any]) -> Pause:
    return Pause(**{str(name): row[name] for name in row})
