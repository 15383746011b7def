"""The outbox as one object, opened by URL, that the upper floor and the board talk to.

No logic here: every method hands over to the module that does the work.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
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
    queries,
    queue,
)
from integrations.outbox.attempt import NotYet, Plan, Sender
from integrations.outbox.attention import Attention, Look
from integrations.outbox.engine import make_engine, watermark_of, write_watermark, writing
from integrations.outbox.migrate import migrate
from integrations.outbox.models import (
    Action,
    Attempt,
    Backlog,
    Changes,
    Count,
    DispatchReport,
    DueAction,
    EnqueueReport,
    Finding,
    Intervention,
    Pause,
    Preview,
    Problem,
    Reconciled,
)
from integrations.outbox.queries import Waiting, WaitReason


class Outbox:
    """The ledger of actions. May be used from several threads; not to be carried over a fork."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def enqueue(
        self, rows: Iterable[DueAction], now: datetime, settings: IntegrationSettings
    ) -> EnqueueReport:
        """Record due actions, all in one transaction; the same rows again change nothing."""
        return enqueue.enqueue(self.engine, rows, now, settings)

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

    def waiting(self) -> list[Waiting]:
        """How many actions wait at each destination, and why."""
        return queries.waiting(self.engine)

    def why_waiting(self, actions: Iterable[Action], settings: IntegrationSettings) -> dict[str, WaitReason]:
        """Why actions are not done yet, by key; nothing for those that are settled."""
        return queries.why_waiting(self.engine, actions, settings)

    def plans(self, channel: str, settings: IntegrationSettings, now: datetime, limit: int) -> Iterator[Plan]:
        """What a pass would do to a channel's due actions; destinations are asked, never changed. Raises BadRoutes."""
        return dispatcher.plans(self.engine, channel, settings, now, limit)

    def reroute_preview(self, action: Action, settings: IntegrationSettings, now: datetime) -> Action:
        """The action as the next pass would find it. Raises BadRoutes."""
        return enqueue.reroute_preview(self.engine, action, settings, now)

    def delivery(self, action: Action, target: Destination, settings: IntegrationSettings) -> Delivery:
        """The action as an opened destination sees it; without its contact while that is still to come."""
        sender = Sender(self.engine, target, settings, lambda: datetime.now(UTC), {})
        try:
            return sender.delivery(action)
        except NotYet:
            return sender.delivery(replace(action, parent_key=None))

    def pauses(self) -> list[Pause]:
        """Destinations that have stopped, the longest first."""
        return circuit_breaker.all_pauses(self.engine)

    def resume(self, channel: str, destination: str | None = None) -> None:
        """Let a destination that has stopped, or every one of the channel, try again at once."""
        with writing(self.engine) as write:
            circuit_breaker.end(write, channel, destination)

    def version(self) -> int:
        """A number that changes with every write to the outbox."""
        return queries.version(self.engine)

    def counts(self, since: datetime | None = None) -> list[Count]:
        """How many actions there are by channel, kind and status; `since`: only those that changed from then on."""
        return queries.counts(self.engine, since)

    def state_counts(self, since: datetime) -> dict[str, dict[str, int]]:
        """How many actions there are by channel and state: waiting and failed whenever, all others of this time."""
        return queries.state_counts(self.engine, since)

    def troubled(self, limit: int) -> list[Action]:
        """Actions that have failed or are tried again, without those that a person has closed."""
        return queries.troubled(self.engine, limit)

    def actions(
        self,
        *,
        channel: str | None = None,
        kind: str | None = None,
        status: str | None = None,
        state: str | None = None,
        source: str | None = None,
        call_id: str | None = None,
        destination: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Action]:
        """Actions that match every filter given, the last changed first.

        `state`: one of STATES, or a status; `since`: changed at or after, UTC.
        """
        wanted = {
            "channel": channel, "kind": kind, "status": status, "source": source, "call_id": call_id,
            "destination": destination,
        }  # fmt: skip
        return queries.list_actions(
            self.engine, state=state, since=since, limit=limit, offset=offset, **wanted
        )

    def actions_of_call(self, source: str, call_id: str, phone: str | None, limit: int) -> list[Action]:
        """What is done for a call in every system, and for its customer's contact, the oldest first."""
        return queries.actions_of_call(self.engine, source, call_id, phone, limit)

    def action_keys(self) -> list[str]:
        """The keys of every action."""
        return queries.action_keys(self.engine)

    def action(self, action_key: str) -> Action | None:
        """One action, or None."""
        return queries.action(self.engine, action_key)

    def attempts(self, action_key: str) -> list[Attempt]:
        """Every try at one action, in order."""
        return queries.attempts_of(self.engine, action_key)

    def interventions(self, action_key: str) -> list[Intervention]:
        """What people did to one action, in order."""
        return queries.interventions_of(self.engine, action_key)

    def previews(self, *, channel: str | None = None, limit: int = 100, offset: int = 0) -> list[Preview]:
        """What would have gone out, the newest first."""
        return queries.list_previews(self.engine, channel=channel, limit=limit, offset=offset)

    def preview(self, action_key: str) -> Preview | None:
        """What would have gone out for one action, or None."""
        return queries.preview(self.engine, action_key)

    def actions_changed_since(self, cursor: str | None = None, batch: int = 5_000) -> Iterator[Changes]:
        """Batches of rows written since a cursor (None: all), each with the next cursor to store.

        A row has the columns that the warehouse gets; `payload` is a dict, times are aware UTC.
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

    def open_problems(self) -> list[Problem]:
        """Every problem that is open, the oldest first."""
        return incidents.open_problems(self.engine)

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


def dispatch(
    outbox: Outbox,
    channel: str,
    settings: IntegrationSettings,
    *,
    now: datetime | None = None,
    limit: int | None = None,
    destination: Destination | None = None,
) -> DispatchReport:
    """Try every action of a channel that is due, each once; see `dispatcher.dispatch`."""
    return dispatcher.dispatch(
        outbox.engine, channel, settings, now=now, limit=limit, destination=destination
    )
