"""The outbox as one object, opened by URL, that the upper floor and the board talk to.

No logic here: every method hands over to the module that does the work. Questions are methods of `queries`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Destination
from integrations.outbox import (
    attention,
    circuit_breaker,
    dispatcher,
    enqueue,
    incidents,
    operations,
    previews,
    queue,
)
from integrations.outbox.attempt import Plan, delivery_of
from integrations.outbox.attention import Attention, Look
from integrations.outbox.engine import make_engine, watermark_of, write_watermark, writing
from integrations.outbox.migrate import migrate
from integrations.outbox.models import (
    Action,
    Backlog,
    DueAction,
    EnqueueReport,
    Finding,
    Pause,
    Reconciled,
)
from integrations.outbox.queries import Queries
from integrations.rendering import Rendered


class Outbox(Queries):
    """The ledger of actions. May be used from several threads; not to be carried over a fork."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def enqueue(
        self, rows: Iterable[DueAction], now: datetime, settings: IntegrationSettings
    ) -> EnqueueReport:
        """Record due actions, all in one transaction; the same rows again change nothing."""
        with writing(self.engine) as write:
            return enqueue.enqueue_in(write, rows, now, settings)

    def watermark(self, name: str) -> str | None:
        """The value stored under this name, so that the next pass knows where this one ended."""
        return watermark_of(self.engine, name)

    def set_watermark(self, name: str, value: str) -> None:
        """Store a value under this name."""
        with writing(self.engine) as write:
            write_watermark(write, name, value)

    def backlog(self, channel: str, now: datetime) -> Backlog:
        """What a channel still has to do; cheap, for sensors."""
        return queue.backlog(self.engine, channel, now)

    def plans(self, channel: str, settings: IntegrationSettings, now: datetime, limit: int) -> Iterator[Plan]:
        """What a pass would do to a channel's due actions; destinations are asked, never changed. Raises BadRoutes."""
        return dispatcher.plans(self.engine, channel, settings, now, limit)

    def reroute_preview(self, action: Action, settings: IntegrationSettings, now: datetime) -> Action:
        """The action as the next pass would find it. Raises BadRoutes."""
        return enqueue.reroute_preview(self.engine, action, settings, now)

    def delivery(self, action: Action, target: Destination, settings: IntegrationSettings) -> Delivery:
        """The action as an opened destination sees it; without its contact while that is still to come."""
        return delivery_of(self.engine, action, target, settings, datetime.now(UTC))

    def rendered(self, action: Action, settings: IntegrationSettings) -> Rendered:
        """What went out, or would go out now; Rejected, Suppressed or DestinationUnavailable if nothing can."""
        return previews.rendered(self.engine, action, settings, datetime.now(UTC))

    def pauses(self) -> list[Pause]:
        """Destinations that have stopped, the longest first."""
        return circuit_breaker.all_pauses(self.engine)

    def resume(self, channel: str, destination: str | None = None) -> None:
        """Let a destination that has stopped, or every one of the channel, try again at once."""
        with writing(self.engine) as write:
            circuit_breaker.end(write, channel, destination)

    def retry(self, action_key: str, now: datetime | None = None, by: str = operations.UNKNOWN) -> None:
        """Make an action due at once; NotPossible if it cannot be."""
        operations.retry(self.engine, action_key, now, by)

    def give_up(self, action_key: str, by: str, now: datetime | None = None) -> None:
        """Close an action for good; NotPossible if it has been sent."""
        operations.give_up(self.engine, action_key, by, now)

    def resend(self, action_key: str, by: str, now: datetime | None = None) -> str:
        """Send what was sent once more, and the key under which that happens; NotPossible if it was not sent."""
        return operations.resend(self.engine, action_key, by, now)

    def findings(self, settings: IntegrationSettings, now: datetime) -> list[Finding]:
        """What is wrong with the channels: dead actions, destinations that stopped, what waits too long."""
        return incidents.findings(self.engine, settings, now)

    def reconcile(
        self,
        findings: Iterable[Finding],
        settings: IntegrationSettings,
        now: datetime,
        unsure: Sequence[str] = (),
    ) -> Reconciled:
        """Open problems that are new, resolve those that are over, and alert of both once. Raises BadAlerts.

        `unsure`: beginnings of keys that nobody could look into this time; their problems stay as they are.
        """
        return incidents.reconcile(self.engine, findings, settings, now, unsure)

    def last_look(self) -> Look | None:
        """The last look for problems, or None if there was none."""
        return attention.last_look(self.engine)

    def record_look(self, now: datetime, findings: Iterable[Finding], notes: Mapping[str, Any]) -> None:
        """Write that somebody looked for problems, and when the next tries of what they saw are."""
        attention.record_look(self.engine, now, findings, notes)

    def needs_attention(
        self, settings: IntegrationSettings, now: datetime, more: Iterable[Finding] = ()
    ) -> Attention:
        """The list of what needs a person, as it is now. `more`: what the caller has just seen itself."""
        return attention.needs_attention(self.engine, settings, now, more)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_outbox(url: str) -> Outbox:
    """Open an outbox, created or migrated as needed; safe when several processes do so at once.

    Args:
        url: `sqlite:////absolute/outbox.sqlite` or `postgresql://…` (with the `psycopg` package installed).

    Raises:
        ValueError: if the URL is neither.
        OutboxTooNew: if a newer aftercall wrote it.
        OutboxTooOld: if an aftercall from before the first release wrote it.
    """
    engine = make_engine(url)
    try:
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return Outbox(engine)
