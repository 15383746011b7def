"""Everything about one call: what the published copy has of it, and its events as they landed."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from integrations.board.published import PublishedCopy, aware
from receiver.envelope import LandedEvent, read_line
from receiver.landing import LandingStore, SegmentDamaged

LOOK_SECONDS = 2.0
"""How long the landing store is searched; a page must come."""
EVENTS = 50
_MARGIN = timedelta(hours=1)
_PIECE = 8 << 20
_Events = dict[tuple[str | None, str | None], LandedEvent]
"""By id and type."""


@dataclass(frozen=True)
class ModelledCall:
    """What the published copy has of a call; `call` is empty for one that it does not have yet."""

    call: dict[str, Any] = field(default_factory=dict)
    turns: list[dict[str, Any]] = field(default_factory=list)
    measures: list[dict[str, Any]] = field(default_factory=list)
    variables: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Landed:
    """A call's events in order of receipt, once each; `is_whole` is False if the search took too long."""

    events: list[LandedEvent]
    is_whole: bool


def modelled(copy: PublishedCopy, source: str, call_id: str) -> ModelledCall:
    """What the published copy has of a call."""
    key = [source, call_id]
    with copy.opened() as snapshot:
        if snapshot is None:
            return ModelledCall()
        calls = snapshot.records(
            "select calls.*, outcomes.* exclude (call_key, source, call_id, updated_at), customers.customer_name "
            "from calls left join call_outcomes as outcomes on calls.call_key = outcomes.call_key "
            "left join customers on calls.customer_phone = customers.customer_phone "
            "where calls.source = ? and calls.call_id = ?",
            key,
        )
        if not calls:
            return ModelledCall()
        return ModelledCall(
            calls[0],
            snapshot.records(_of("call_turns", "turn_number"), key),
            snapshot.records(_of("call_metrics", "measure, metric_key"), key),
            snapshot.records(_of("call_variables", "variable"), key),
        )


def _of(table: str, order: str) -> str:
    return f"select * from {table} where source = ? and call_id = ? order by {order}"  # noqa: S608 - our own names


def landed(store: LandingStore, source: str, call_id: str, call: dict[str, Any]) -> Landed:
    """A call's events, of which the newest are looked for first.

    Where the marts know when the call was, only the segments of that time are read, until its last event came: a call
    of last year may have landed today.
    """
    now = datetime.now(UTC)
    since = aware(call.get("started_at") or call.get("ended_at")) or now - timedelta(days=2)
    until = aware(call.get("updated_at")) or now
    if since > until:
        since = until - timedelta(days=1)
    ends_at = time.monotonic() + LOOK_SECONDS
    wanted = orjson.dumps(call_id)[1:-1]  # as a line has it
    events: _Events = {}
    last = f"{until + _MARGIN:%Y-%m-%d/%H}~"
    for segment in reversed(list(store.segments(after=f"{since - _MARGIN:%Y-%m-%d/%H}"))):
        if segment.path > last:
            continue
        position = 0
        try:
            while (chunk := store.read(segment.path, position, _PIECE)).data:
                position = chunk.next_offset
                if wanted in chunk.data:
                    _take(chunk.data, wanted, source, call_id, events)
                if time.monotonic() > ends_at:
                    return Landed(_in_order(events), is_whole=False)
        except (SegmentDamaged, OSError):
            continue
    return Landed(_in_order(events), is_whole=True)


def _take(data: bytes, wanted: bytes, source: str, call_id: str, events: _Events) -> None:
    at = data.find(wanted)
    while at >= 0:
        start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
        event = read_line(data[start:end])
        if event and event.call_id == call_id and event.source == source:
            events.setdefault((event.event_id, event.event_type), event)
        at = data.find(wanted, end)


def _in_order(events: _Events) -> list[LandedEvent]:
    return sorted(events.values(), key=lambda event: event.received_at)[:EVENTS]
