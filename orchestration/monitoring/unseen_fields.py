"""Fields and types never seen before, in a sample of the events loaded lately.

The reference is what the same source sent before: an event differs if a field, or the type of a field, is in no event
of its kind loaded in the two weeks before. Fields of `Source.operator_objects` are left out. Nothing here shows a value
of a body, and an event that differs is loaded like any other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from integrations.board.masking import text as masked
from integrations.rendering import line
from orchestration.config import OrchestrationSettings
from orchestration.warehouse import RelationMissing, open_warehouse
from receiver.sources import SOURCES

WINDOW = timedelta(days=1)
SAMPLE = 100
"""Events per source and type that are compared, so that a rare type is not lost among many of another."""
BEFORE = timedelta(days=14)
SAMPLE_BEFORE = 500
"""Events per source and type, loaded in this time before the window, that say which fields are known."""
_MAX_NAME, _MAX_KEYS, _MAX_DEPTH = 120, 60, 8
_TYPES = {dict: "object", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}
Kind = tuple[str, str]
Types = dict[str, set[str]]
"""The types of each field that events of one kind have, by place: `call.transcript_object[].role`."""
_NEWEST = """
with numbered as (
    select
        event_key, loaded_at,
        row_number() over (partition by source, event_type order by loaded_at desc, event_key) as number
    from raw.call_events
    where loaded_at > $since and loaded_at <= $until and source in (select unnest($sources))
)
select events.source, events.event_type, events.event_key, cast(events.payload as varchar)
from raw.call_events as events
inner join numbered on events.event_key = numbered.event_key and events.loaded_at = numbered.loaded_at
where numbered.number <= $sample and events.loaded_at > $since and events.loaded_at <= $until
order by events.source, events.event_type, events.event_key
"""


@dataclass(frozen=True, order=True)
class Misfit:
    """A field that differs from earlier events, and how."""

    where: str
    problem: str


@dataclass(frozen=True)
class Drift:
    """Events of one source and type that differ in the same way; `sample` is the outline of one."""

    source: str
    event_type: str
    misfits: tuple[Misfit, ...]
    events: int
    event_key: str
    sample: str


@dataclass(frozen=True)
class DriftReport:
    """The number of events that were compared, and those that differ."""

    events: int
    drifts: list[Drift]


def find(settings: OrchestrationSettings, now: datetime | None = None) -> DriftReport:
    """Compare a sample of what was loaded within a day before `now`. Raises WarehouseBusy."""
    until = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    rows, known = _samples(settings, until - WINDOW, until)
    drifts: dict[tuple[str, str, tuple[Misfit, ...]], Drift] = {}
    for source, event_type, event_key, payload in rows:
        body = _parsed(payload)
        changes = tuple(misfits(source, body, known.get((source, event_type), {})))
        if changes:
            key = (source, event_type, changes)
            drift = drifts.get(key) or Drift(*key, 0, event_key, _sample(body))
            drifts[key] = replace(drift, events=drift.events + 1)
    return DriftReport(len(rows), list(drifts.values()))


def _samples(
    settings: OrchestrationSettings, since: datetime, until: datetime
) -> tuple[list[tuple[str, str, str, str]], dict[Kind, Types]]:
    """Events of the window, and the types of the fields in events before it."""
    warehouse = open_warehouse(settings)
    if not warehouse.exists():
        return [], {}
    window = {"since": since, "until": until, "sources": sorted(SOURCES), "sample": SAMPLE}
    before = window | {"since": since - BEFORE, "until": since, "sample": SAMPLE_BEFORE}
    known: dict[Kind, Types] = {}
    with warehouse.reading(), warehouse.connect() as connection:
        try:
            rows = connection.rows(_NEWEST, window)
            earlier = connection.rows(_NEWEST, before)
        except RelationMissing:  # nothing was ever loaded
            return [], {}
    for source, event_type, _, payload in earlier:
        learn(source, _parsed(payload), known.setdefault((source, event_type), {}))
    return rows, known


def learn(source: str, body: Any, known: Types) -> None:
    """Add the fields of a body to those that are known."""
    for place, kind in _fields(body, SOURCES[source].operator_objects):
        known.setdefault(place, set()).add(kind)


def misfits(source: str, body: Any, known: Types) -> Iterator[Misfit]:
    """The differences of a body from earlier ones; without earlier ones there is nothing to differ from."""
    if isinstance(body, list) and len(body) > 1:
        yield Misfit("body", "has more than one event, of which only the first is read")
    types: Types = {}
    learn(source, body, types)
    for place in sorted(types) if known else ():
        before = known.get(place, set()) - {"null"}
        if place in known:
            for kind in sorted(types[place] - before - {"null"}) if before else ():
                yield Misfit(_shown(place), f"was {' or '.join(sorted(before))}, is {kind}")
        # the fields of a new object are not news beside it, nor is the first element of a list
        elif not place.endswith("[]") and "object" in known.get(place.rpartition(".")[0], ()):
            yield Misfit(_shown(place), "is new")


def _fields(body: Any, skipped: frozenset[str], where: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The place and type of a value, and of each field in it; not of the fields in objects of a skipped name."""
    yield where, name_of(body)
    if depth == _MAX_DEPTH:
        return
    if isinstance(body, list):
        for element in body:
            yield from _fields(element, skipped, f"{where}[]", depth + 1)
    elif isinstance(body, dict):
        for name, value in body.items():
            place = f"{where}.{name}".removeprefix(".")
            if name in skipped:
                yield place, name_of(value)
            else:
                yield from _fields(value, skipped, place, depth + 1)


def outline(value: Any, depth: int = 0) -> Any:
    """A body without its values: names and types, and of a list its first element."""
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        shown = {str(key)[:60]: outline(inner, depth + 1) for key, inner in list(value.items())[:_MAX_KEYS]}
        return shown | ({"...": f"{len(value) - _MAX_KEYS} more"} if len(value) > _MAX_KEYS else {})
    if isinstance(value, list) and value and depth < _MAX_DEPTH:
        return [outline(value[0], depth + 1), f"{len(value)} in all"]
    return name_of(value)


def name_of(value: Any) -> str:
    """The type of a JSON value, as JSON calls it."""
    return _TYPES.get(type(value), "null")


def _parsed(payload: str) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:  # JSON all the same, of the kind that strict parsers refuse
        return None


def _sample(body: Any) -> str:
    """The outline as JSON. A name that looks like a number is masked: operators name fields after people."""
    return masked(orjson.dumps(outline(body), option=orjson.OPT_INDENT_2).decode(), mask=True)


def _shown(place: str) -> str:
    return masked(line(place, _MAX_NAME), mask=True) or "body"
