"""The story of one call: its events from the landing line to the marts, its outcome, its actions and their tries.

Collects only; how it looks belongs to `orchestration/cli/trace.py`. All moments are aware UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from integrations.config import IntegrationSettings
from integrations.outbox import Action, Attempt, Outbox, open_outbox
from orchestration.config import OrchestrationSettings
from orchestration.load import cursor, pipeline
from orchestration.load.held import EVENTS, HELD
from orchestration.load.landing_search import lines_of
from orchestration.load.window import EARLIEST, LATEST, Window
from orchestration.warehouse import duckdb_file
from receiver.envelope import safe_id
from receiver.landing import Segment, open_landing

_TINY = timedelta(microseconds=1)
_ACTIONS = 10_000
_LONGEST_PASS = timedelta(days=1)


@dataclass(frozen=True)
class Place:
    """A delivery in the landing store: the line at byte `offset` of a segment, and when it was received."""

    segment: str
    offset: int
    received_at: datetime


@dataclass
class TracedEvent:
    """An event; `loaded_at` is None where the warehouse has it not (yet), `places` is empty once it was removed.

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
    """An action and every try at it; `is_shared` if it belongs to another call of the same customer."""

    action: Action
    attempts: list[Attempt]
    is_shared: bool = False


@dataclass
class TracedCall:
    """One call of one source; `call` and `outcome` are its rows of the marts, `built_at` when they were made."""

    source: str
    call_id: str
    events: list[TracedEvent] = field(default_factory=list)
    built_at: datetime | None = None
    call: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    actions: list[TracedAction] = field(default_factory=list)


@dataclass
class Trace:
    """Every call with an id, by source. `is_busy`: the warehouse was not free, so its published copy spoke instead."""

    call_id: str
    calls: dict[str, TracedCall] = field(default_factory=dict)
    is_busy: bool = False

    def of(self, source: str) -> TracedCall:
        """The call of a source, made when it is new."""
        return self.calls.setdefault(source, TracedCall(source, self.call_id))


def trace(
    settings: OrchestrationSettings,
    integrations: IntegrationSettings,
    call_id: str,
    source: str | None = None,
    wait_seconds: float = 10,
) -> Trace:
    """What is known of a call; nothing is, when the trace has no calls.

    Waits for the warehouse no longer than `wait_seconds`; then the published copy has to do.
    Raises SegmentDamaged when an archived segment that may hold its events cannot be read.
    """
    told = Trace(safe_id(call_id) or call_id)
    if not settings.home.is_dir():
        return told
    state = pipeline.positions(settings)
    try:
        with duckdb_file.reading(settings.model_copy(update={"lock_timeout_seconds": wait_seconds})):
            state = pipeline.loaded_positions(settings)
            if settings.warehouse.exists():
                with duckdb_file.connect(settings) as connection:
                    _add_loaded(told, connection)
                    _add_built(told, connection, "marts.")
    except duckdb_file.WarehouseBusy:
        told.is_busy = True
        if settings.published.exists():
            with duckdb.connect(str(settings.published), read_only=True) as connection:
                _add_built(told, connection, "")
    _add_landed(told, settings, state)
    with open_outbox(integrations.outbox_url) as outbox:
        _add_actions(told, outbox)
    told.calls = {name: told.calls[name] for name in sorted(told.calls) if source in (None, name)}
    return told


def _add_loaded(told: Trace, connection: duckdb.DuckDBPyConnection) -> None:
    for table in (EVENTS, HELD):
        for row in _rows(connection, table, told.call_id):
            event = TracedEvent(
                *(row[name] for name in ("event_id", "event_type", "occurred_at", "received_at", "loaded_at"))
            )
            event.set_aside_at, event.set_aside_because = row.get("quarantined_at"), row.get("reason")
            told.of(row["source"]).events.append(event)
    for row in _rows(connection, "intermediate.int_calls", told.call_id):
        told.of(row["source"]).built_at = row["built_at"]


def _add_built(told: Trace, connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    for row in _rows(connection, f"{schema}calls", told.call_id):
        told.of(row["source"]).call = row
    for row in _rows(connection, f"{schema}call_outcomes", told.call_id):
        told.of(row["source"]).outcome = row


def _rows(connection: duckdb.DuckDBPyConnection, table: str, call_id: str) -> Iterator[dict[str, Any]]:
    """A table's rows of a call; none where the table is not there yet."""
    try:
        found = connection.execute(f"select * from {table} where call_id = ?", [call_id])  # noqa: S608
    except duckdb.CatalogException:
        return
    names = [column[0] for column in found.description or []]
    for row in found.fetchall():
        yield {
            name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for name, value in zip(names, row, strict=True)
        }


def _add_landed(told: Trace, settings: OrchestrationSettings, state: dict[str, Any]) -> None:
    """Places of the events in the landing store, and the events that are not loaded yet."""
    store = open_landing(settings.home)
    windows = list(_windows(told, settings))
    waiting = {segment.path for segment, _ in cursor.unread(store, state)}

    def may_hold(segment: Segment) -> bool:
        return segment.path in waiting or any(window.may_be_in(segment) for window in windows)

    known = {(name, event.event_id): event for name, call in told.calls.items() for event in call.events}
    for landed in lines_of(store, told.call_id, filter(may_hold, store.segments())):
        source, event_id, received_at = landed.event.source, landed.event.event_id, landed.event.received_at
        if event_id is None:
            continue  # a line that the load rejects
        event = known.get((source, event_id))
        if event is None:
            event = TracedEvent(event_id, landed.event.event_type, landed.event.occurred_at, received_at)
            known[source, event_id] = event
            told.of(source).events.append(event)
        event.places.append(Place(landed.segment, landed.offset, received_at))
    for call in told.calls.values():
        call.events.sort(key=lambda event: event.received_at)


def _windows(told: Trace, settings: OrchestrationSettings) -> Iterator[Window]:
    """When the events were received; without the raw table, from when the call began until it was last heard of."""
    if told.is_busy:
        yield _unpublished(settings)
    for call in told.calls.values():
        for event in call.events:
            yield Window(event.received_at, event.received_at + _TINY)
        if call.call is not None and not call.events:
            heard = call.call["updated_at"]
            began = call.call["started_at"] or heard
            yield Window(min(began, heard), heard + _TINY)


def _unpublished(settings: OrchestrationSettings) -> Window:
    """When what the published copy may not have was received: while the pass that made it went on, and since."""
    try:
        published = datetime.fromtimestamp(settings.published.stat().st_mtime, UTC)
    except FileNotFoundError:
        return Window(EARLIEST, LATEST)
    return Window(published - _LONGEST_PASS, LATEST)


def _add_actions(told: Trace, outbox: Outbox) -> None:
    parents = set[tuple[str, str]]()
    for action in outbox.actions(call_id=told.call_id, limit=_ACTIONS):
        name = action.source or ""
        told.of(name).actions.append(TracedAction(action, outbox.attempts(action.action_key)))
        if action.parent_key is not None:
            parents.add((name, action.parent_key))
    for name, key in sorted(parents):
        parent = outbox.action(key)
        if parent is not None and (parent.source, parent.call_id) != (name, told.call_id):
            told.of(name).actions.append(TracedAction(parent, outbox.attempts(key), is_shared=True))
    for call in told.calls.values():
        call.actions.sort(key=lambda traced: (traced.action.created_at, traced.action.action_key))
