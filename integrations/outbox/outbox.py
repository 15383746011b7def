"""The outbox's public face: one object, opened by URL, that the upper floor and the board talk to.

No logic here: every method hands over to the module that does the work.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import Engine, insert, select, update

from integrations.config import IntegrationSettings
from integrations.outbox import circuit_breaker, enqueue, operations, queries, queue
from integrations.outbox.engine import make_engine, reading, writing
from integrations.outbox.migrate import migrate
from integrations.outbox.models import (
    Action,
    Attempt,
    Backlog,
    Changes,
    Count,
    DueAction,
    FillReport,
    Intervention,
    Pause,
    Preview,
)
from integrations.outbox.schema import watermarks


class Outbox:
    """The ledger of actions. May be used from several threads; not to be carried over a fork."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def fill(self, rows: Iterable[DueAction], now: datetime, settings: IntegrationSettings) -> FillReport:
        """Record due actions, all in one transaction; the same rows again change nothing."""
        return enqueue.fill(self.engine, rows, now, settings)

    def watermark(self, name: str) -> str | None:
        """A value that was kept under this name, so that the next pass knows where this one ended."""
        with reading(self.engine) as connection:
            return connection.execute(select(watermarks.c.value).where(watermarks.c.name == name)).scalar()

    def set_watermark(self, name: str, value: str) -> None:
        """Keep a value under this name."""
        with writing(self.engine) as write:
            change = update(watermarks).where(watermarks.c.name == name).values(value=value)
            if write.connection.execute(change).rowcount == 0:
                write.connection.execute(insert(watermarks).values(name=name, value=value))

    def backlog(self, channel: str, now: datetime) -> Backlog:
        """What a channel still has to do; cheap, for sensors."""
        return queue.backlog(self.engine, channel, now)

    def pauses(self) -> list[Pause]:
        """Destinations that have stopped, the longest first."""
        return circuit_breaker.all_pauses(self.engine)

    def resume(self, channel: str, destination: str | None = None) -> None:
        """Let a destination that has stopped, or every one of the channel, try again at once."""
        with writing(self.engine) as write:
            circuit_breaker.end(write, channel, destination)

    def counts(self, since: datetime | None = None) -> list[Count]:
        """How many actions there are by channel, kind and status; `since`: only those that changed from then on."""
        return queries.counts(self.engine, since)

    def actions(
        self,
        *,
        channel: str | None = None,
        kind: str | None = None,
        status: str | None = None,
        source: str | None = None,
        call_id: str | None = None,
        destination: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Action]:
        """Actions that match every filter given, the last changed first; `since`: changed at or after, UTC."""
        wanted = {
            "channel": channel, "kind": kind, "status": status, "source": source, "call_id": call_id,
            "destination": destination,
        }  # fmt: skip
        return queries.list_actions(self.engine, since=since, limit=limit, offset=offset, **wanted)

    def action(self, action_key: str) -> Action | None:
        """One action, or None."""
        return queries.action(self.engine, action_key)

    def attempts(self, action_key: str) -> list[Attempt]:
        """Every try at one action, in order."""
        return queries.attempts_of(self.engine, action_key)

    def previews(self, *, channel: str | None = None, limit: int = 100, offset: int = 0) -> list[Preview]:
        """What would have gone out, the newest first."""
        return queries.list_previews(self.engine, channel=channel, limit=limit, offset=offset)

    def preview(self, action_key: str) -> Preview | None:
        """What would have gone out for one action, or None."""
        return queries.preview(self.engine, action_key)

    def actions_changed_since(self, cursor: str | None = None, batch: int = 5_000) -> Iterator[Changes]:
        """Batches of rows written since a cursor (None: all), each with the next cursor to keep.

        A row has the contract's columns without `payload_hash`; `payload` is a dict, times are aware UTC.
        """
        return queries.changed_since(self.engine, cursor, batch)

    def retry(self, action_key: str, now: datetime | None = None, by: str = operations.UNKNOWN) -> None:
        """Make an action due at once; NotPossible if it cannot be."""
        operations.retry(self.engine, action_key, now, by)

    def give_up(self, action_key: str, by: str, now: datetime | None = None) -> None:
        """Close an action for good; NotPossible if it has been sent."""
        operations.give_up(self.engine, action_key, by, now)

    def resend(self, action_key: str, by: str, now: datetime | None = None) -> str:
        """Send what was sent once more, and the key under which that happens; NotPossible if it was not sent."""
        return operations.resend(self.engine, action_key, by, now)

    def interventions(self, action_key: str) -> list[Intervention]:
        """What people did to one action, in order."""
        return queries.interventions_of(self.engine, action_key)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_outbox(url: str) -> Outbox:
    """Open an outbox, made or migrated as needed; safe when several processes do so at once.

    Args:
        url: `sqlite:////absolute/outbox.sqlite` or `postgresql://…` (with the `psycopg` package installed).

    Raises:
        ValueError: if the URL is neither.
        OutboxTooNew: if a newer aftercall wrote it.
    """
    engine = make_engine(url)
    try:
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return Outbox(engine)
