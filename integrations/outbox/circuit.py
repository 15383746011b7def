"""Channels that stop: when a destination says that nothing would get through, the others need not find out too.

A pause is a row. While it lasts nothing of the channel is due; then the first action that is tried is the probe: if it
gets through, the pause ends, else it goes on for longer. What makes a destination say so belongs to the destinations.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update

from integrations.config import IntegrationSettings
from integrations.errors import Busy, Paused, describe
from integrations.outbox.alerts import alert_action
from integrations.outbox.backoff import LONGEST_WISH
from integrations.outbox.engine import Write, reading, writing
from integrations.outbox.filling import fill_in
from integrations.outbox.records import Pause
from integrations.outbox.schema import pauses


def pause_of(engine: Engine, channel: str) -> Pause | None:
    """The channel's pause, also one that is over but not yet proven to be."""
    return next((pause for pause in all_pauses(engine) if pause.channel == channel), None)


def all_pauses(engine: Engine) -> list[Pause]:
    """Every pause, the oldest first."""
    with reading(engine) as connection:
        rows = connection.execute(select(pauses).order_by(pauses.c.since, pauses.c.channel)).mappings()
        return [_as_pause(row) for row in rows]


def pause(
    engine: Engine,
    channel: str,
    destination: str,
    error: Paused | Busy,
    now: datetime,
    settings: IntegrationSettings,
) -> None:
    """Stop a channel, or let its pause go on; a new one, if a person can mend it, is told once (together)."""
    with writing(engine) as write:
        row = write.connection.execute(select(pauses).where(pauses.c.channel == channel)).mappings().first()
        before = _as_pause(row) if row and row["destination"] == destination else None
        times = before.times if before else 0
        found = Pause(
            channel,
            destination,
            describe(error, settings),
            since=before.since if before else now,
            until=now + _length(times, error.after, settings),
            times=times + 1,
            is_alerted=isinstance(error, Paused) or (before is not None and before.is_alerted),
        )
        if row:
            write.connection.execute(update(pauses).where(pauses.c.channel == channel).values(**vars(found)))
        else:
            write.connection.execute(insert(pauses).values(**vars(found)))
        if found.is_alerted and not (before and before.is_alerted):
            fill_in(write, [_alert(found, settings, now)], now, settings)


def end(write: Write, channel: str) -> None:
    """Let the channel work again; nothing if it was not paused."""
    write.connection.execute(delete(pauses).where(pauses.c.channel == channel))


def _length(times: int, after: timedelta | None, settings: IntegrationSettings) -> timedelta:
    if after is not None:
        return min(after, LONGEST_WISH)
    return timedelta(
        seconds=min(settings.pause_cap_seconds, settings.pause_base_seconds * 2.0 ** min(times, 64))
    )


def _alert(found: Pause, settings: IntegrationSettings, now: datetime) -> Any:
    return alert_action(
        f"paused:{found.channel}:{found.since:%Y-%m-%dT%H:%M:%S}",
        f"The {found.channel} channel has stopped",
        settings,
        now,
        summary=f"{found.destination}: {found.reason}",
        action_needed="Mend it; nothing is lost, and the channel goes on by itself within "
        f"{settings.pause_cap_seconds / 60:.0f} minutes, or at once when an action of it is retried.",
    )


def _as_pause(row: Mapping[Any, Any]) -> Pause:
    return Pause(**{str(name): row[name] for name in row})
