"""Contract drift: events loaded lately that do not look as documented any more, or have a field never seen before.

Looks at a sample, from the newest back, and tells names and types only. A field is new when it stands in an object that
the documents describe, and neither they nor an event of the same type in a sample of the weeks before has it. What a
shape is belongs to `receiver.shapes`; that an event does not fit changes nothing about it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from integrations.board.masking import text as masked
from integrations.rendering import line
from orchestration.config import OrchestrationSettings
from orchestration.warehouse import RelationMissing, open_warehouse
from receiver.shapes import SHAPES, Misfit, described, fields, misfits, outline

WINDOW = timedelta(days=1)
SAMPLE = 100
"""Events of each source and type that are looked at, so that a rare type is not lost among many of another."""
BEFORE = timedelta(days=14)
SAMPLE_BEFORE = 500
"""Events of each source and type, of this long before the window, that say which fields are known."""
_NEW = "is new"
_LONGEST_NAME = 120
Kind = tuple[str, str]
Fields = set[tuple[str, str]]
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


@dataclass(frozen=True)
class Drift:
    """Events of one source and type that differ from the documents in the same way; `sample` is the outline of one."""

    source: str
    event_type: str
    misfits: tuple[Misfit, ...]
    events: int
    event_key: str
    sample: str


@dataclass(frozen=True)
class DriftReport:
    """How many events were looked at, and what was found."""

    events: int
    drifts: list[Drift]


def find(settings: OrchestrationSettings, now: datetime | None = None) -> DriftReport:
    """Look at a sample of what was loaded within a day before `now`. Raises WarehouseBusy."""
    until = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    rows, known = _samples(settings, until - WINDOW, until)
    looked_at, found = 0, dict[tuple[str, str, tuple[Misfit, ...]], Drift]()
    for source, event_type, event_key, payload in rows:
        looked_at += 1
        body = _parsed(payload)
        news = _new_fields(source, event_type, body, known)
        wrong = (*misfits(source, event_type, body), *news)
        if not wrong:
            continue
        earlier = found.get((source, event_type, wrong))
        found[source, event_type, wrong] = Drift(
            source,
            event_type,
            wrong,
            earlier.events + 1 if earlier else 1,
            earlier.event_key if earlier else event_key,
            earlier.sample if earlier else _shown(body),
        )
    return DriftReport(looked_at, list(found.values()))


def _new_fields(source: str, event_type: str, body: Any, known: dict[Kind, Fields]) -> list[Misfit]:
    """Fields that the documents do not name and no earlier event had; none while there is no earlier event."""
    objects = described(source, event_type)
    before = known.get((source, event_type))
    if before is None:
        return []
    new = {
        (where, name)
        for where, name in fields(body, objects)
        if name not in objects[where] and (where, name) not in before
    }
    return [Misfit(_named(f"{where}.{name}".removeprefix(".")), _NEW) for where, name in sorted(new)]


def _samples(
    settings: OrchestrationSettings, since: datetime, until: datetime
) -> tuple[list[tuple[str, str, str, str]], dict[Kind, Fields]]:
    """Events of the window, and the fields that events before it had, by source and type."""
    warehouse = open_warehouse(settings)
    if not warehouse.exists():
        return [], {}
    window = {"since": since, "until": until, "sources": sorted(SHAPES), "sample": SAMPLE}
    before = window | {"since": since - BEFORE, "until": since, "sample": SAMPLE_BEFORE}
    known: dict[Kind, Fields] = {}
    with warehouse.reading(), warehouse.connect() as connection:
        try:
            rows = connection.rows(_NEWEST, window)
            earlier = connection.rows(_NEWEST, before)
        except RelationMissing:  # nothing was ever loaded
            return [], {}
    for source, event_type, _, payload in earlier:
        body = _parsed(payload)
        known.setdefault((source, event_type), set()).update(fields(body, described(source, event_type)))
    return rows, known


def _parsed(payload: str) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:  # JSON all the same, of the kind that strict parsers refuse
        return None


def _shown(body: Any) -> str:
    """Names can be personal too, where a platform's names are the operator's: what looks like a number is masked."""
    return masked(orjson.dumps(outline(body), option=orjson.OPT_INDENT_2).decode(), mask=True)


def _named(place: str) -> str:
    return masked(line(place, _LONGEST_NAME), mask=True)
