"""The story of one call: its events from the landing line to the marts, its outcome, its actions and attempts.

`orchestration/cli/trace.py` prints it. All times are aware UTC.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.config import IntegrationSettings
from integrations.outbox import Action, Attempt, Outbox, open_outbox
from orchestration.config import OrchestrationSettings
from orchestration.load import cursor, pipeline
from orchestration.load.landing_search import lines_of
from orchestration.load.tables import EVENTS, QUARANTINED
from orchestration.load.window import EARLIEST, LATEST, Window
from orchestration.warehouse import Connection, NotPublished, RelationMissing, WarehouseBusy, open_warehouse
from receiver.envelope import safe_id
from receiver.landing import Segment, open_landing

_TINY = timedelta(microseconds=1)
_ACTIONS = 10_000
_LONGEST_PASS = timedelta(days=1)


@dataclass(frozen=True)
class Place:
    """A delivery in the landing store: its segment, the byte `offset` of its line, and its time of receipt."""

    segment: str
    offset: int
    received_at: datetime


@dataclass
class TracedEvent:
    """An event; `loaded_at` is None while it is not loaded, `places` is empty once its segment was removed.

    `set_aside_at` and `set_aside_because` are known for an event that breaks the build.
    """

    event_id: str
    event_type: str | None
    occurred_at: datetime | None
    received_at: datetime
    loaded_at: datetime | None = None
    places: list[Place] = field(default_factory=list)
    set_aside_at: datetime | None = None
    set_aside_because: str | None = None


@dataclass(frozen=True)
class TracedAction:
    """An action with its attempts; `is_shared` if it belongs to another call of the same customer."""

    action: Action
    attempts: list[Attempt]
    is_shared: bool = False


@dataclass
class TracedCall:
    """One call of one source; `call` and `outcome` are its rows in the marts, built at `built_at`."""

    source: str
    call_id: str
    events: list[TracedEvent] = field(default_factory=list)
    built_at: datetime | None = None
    call: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    actions: list[TracedAction] = field(default_factory=list)


@dataclass
class Trace:
    """Every call with an id, by source. `is_busy`: the warehouse was held, so the published copy was read instead."""

    call_id: str
    calls: dict[str, TracedCall] = field(default_factory=dict)
    is_busy: bool = False

    def of(self, source: str) -> TracedCall:
        """The call of a source, added when it is new."""
        return self.calls.setdefault(source, TracedCall(source, self.call_id))


def trace(
    settings: OrchestrationSettings,
    integrations: IntegrationSettings,
    call_id: str,
    source: str | None = None,
    wait_seconds: float = 10,
) -> Trace:
    """The trace of a call; without calls if nothing is known of it.

    Waits for the warehouse no longer than `wait_seconds`, then reads the published copy.
    Raises SegmentDamaged when an archived segment that may hold its events cannot be read.
    """
    story = Trace(safe_id(call_id) or call_id)
    if not settings.home.is_dir():
        return story
    state = pipeline.positions(settings)
    warehouse = open_warehouse(settings.model_copy(update={"lock_timeout_seconds": wait_seconds}))
    try:
        with warehouse.reading():
            state = pipeline.loaded_positions(settings)
            if warehouse.exists():
                with warehouse.connect() as connection:
                    _add_loaded(story, connection)
                    _add_built(story, connection)
    except WarehouseBusy:
        story.is_busy = True
        with suppress(NotPublished), warehouse.published.connect() as connection:
            _add_built(story, connection)
    _add_landed(story, settings, state)
    with open_outbox(integrations.outbox_url) as outbox:
        _add_actions(story, outbox)
    story.calls = {name: story.calls[name] for name in sorted(story.calls) if source in (None, name)}
    return story


def _add_loaded(story: Trace, connection: Connection) -> None:
    for table in (EVENTS, QUARANTINED):
        for row in _rows(connection, table, story.call_id):
            event = TracedEvent(
                *(row[name] for name in ("event_id", "event_type", "occurred_at", "received_at", "loaded_at"))
            )
            event.set_aside_at, event.set_aside_because = row.get("quarantined_at"), row.get("reason")
            story.of(row["source"]).events.append(event)
    for row in _rows(connection, "intermediate.int_calls_merged", story.call_id):
        story.of(row["source"]).built_at = row["built_at"]


def _add_built(story: Trace, connection: Connection) -> None:
    for row in _rows(connection, "marts.calls", story.call_id):
        story.of(row["source"]).call = row
    for row in _rows(connection, "marts.call_outcomes", story.call_id):
        story.of(row["source"]).outcome = row


def _rows(connection: Connection, table: str, call_id: str) -> Iterator[dict[str, Any]]:
    """A table's rows of a call; none before the table exists."""
    try:
        records = connection.records(f"select * from {table} where call_id = ?", [call_id])  # noqa: S608
    except RelationMissing:
        return
    for record in records:
        yield {
            name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for name, value in record.items()
        }


def _add_landed(story: Trace, settings: OrchestrationSettings, state: dict[str, Any]) -> None:
    """Places of the events in the landing store, and the events that are not loaded yet."""
    store = open_landing(settings.landing)
    windows = list(_windows(story, settings))
    waiting = {segment.path for segment, _ in cursor.unread(store, state)}

    def may_hold(segment: Segment) -> bool:
        return segment.path in waiting or any(window.may_be_in(segment) for window in windows)

    known = {(name, event.event_id): event for name, call in story.calls.items() for event in call.events}
    for landed in lines_of(store, story.call_id, filter(may_hold, store.segments())):
        source, event_id, received_at = landed.event.source, landed.event.event_id, landed.event.received_at
        if event_id is None:
            continue  # a line that the load rejects
        event = known.get((source, event_id))
        if event is None:
            event = TracedEvent(event_id, landed.event.event_type, landed.event.occurred_at, received_at)
            known[source, event_id] = event
            story.of(source).events.append(event)
        event.places.append(Place(landed.segment, landed.offset, received_at))
    for call in story.calls.values():
        call.events.sort(key=lambda event: event.received_at)


def _windows(story: Trace, settings: OrchestrationSettings) -> Iterator[Window]:
    """Times of receipt of the events; without the raw table, from the call's start to its last update."""
    if story.is_busy:
        yield _unpublished(settings)
    for call in story.calls.values():
        for event in call.events:
            yield Window(event.received_at, event.received_at + _TINY)
        if call.call is not None and not call.events:
            heard = call.call["updated_at"]
            began = call.call["started_at"] or heard
            yield Window(min(began, heard), heard + _TINY)


def _unpublished(settings: OrchestrationSettings) -> Window:
    """Times of receipt that the published copy may lack: from the start of the pass that made it."""
    published_at = open_warehouse(settings).published.published_at()
    return Window(EARLIEST if published_at is None else published_at - _LONGEST_PASS, LATEST)


def _add_actions(story: Trace, outbox: Outbox) -> None:
    parents = set[tuple[str, str]]()
    for action in outbox.actions(call_id=story.call_id, limit=_ACTIONS):
        name = action.source or ""
        story.of(name).actions.append(TracedAction(action, outbox.attempts(action.action_key)))
        if action.parent_key is not None:
            parents.add((name, action.parent_key))
    for name, key in sorted(parents):
        parent = outbox.action(key)
        if parent is not None and (parent.source, parent.call_id) != (name, story.call_id):
            story.of(name).actions.append(TracedAction(parent, outbox.attempts(key), is_shared=True))
    for call in story.calls.values():
        call.actions.sort(key=lambda traced: (traced.action.created_at, traced.action.action_key))
