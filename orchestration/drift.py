"""Contract drift: events loaded lately that no longer look as their platform documents them.

Looks at a sample, from the newest back, and tells names and types only. What a shape is belongs to `receiver.shapes`;
that an event does not fit changes nothing about it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import orjson

from integrations.board.masking import text as masked
from orchestration import warehouse
from orchestration.config import OrchestrationSettings
from receiver.shapes import SHAPES, Misfit, misfits, outline

WINDOW = timedelta(days=1)
SAMPLE = 20
"""Events of each source and type that are looked at."""
_NEWEST = """
with numbered as (
    select
        event_key, loaded_at,
        row_number() over (partition by source, event_type order by loaded_at desc, event_key) as number
    from raw.call_events
    where loaded_at > $since and source in (select unnest($sources))
)
select events.source, events.event_type, events.event_key, cast(events.payload as varchar)
from raw.call_events as events
inner join numbered on events.event_key = numbered.event_key and events.loaded_at = numbered.loaded_at
where numbered.number <= $sample and events.loaded_at > $since
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
    since = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None) - WINDOW
    looked_at, found = 0, dict[tuple[str, str, tuple[Misfit, ...]], Drift]()
    for source, event_type, event_key, payload in _newest(settings, since):
        looked_at += 1
        body = _parsed(payload)
        wrong = tuple(misfits(source, event_type, body))
        if not wrong:
            continue
        known = found.get((source, event_type, wrong))
        found[source, event_type, wrong] = Drift(
            source,
            event_type,
            wrong,
            known.events + 1 if known else 1,
            known.event_key if known else event_key,
            known.sample if known else _shown(body),
        )
    return DriftReport(looked_at, list(found.values()))


def _newest(settings: OrchestrationSettings, since: datetime) -> Iterator[tuple[str, str, str, str]]:
    if not settings.warehouse.exists():
        return
    values = {"since": since, "sources": sorted(SHAPES), "sample": SAMPLE}
    with warehouse.writing(settings), warehouse.connect(settings) as connection:
        try:
            rows = connection.execute(_NEWEST, values).fetchall()
        except duckdb.CatalogException:  # nothing was ever loaded
            return
    yield from rows


def _parsed(payload: str) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:  # JSON all the same, of the kind that strict parsers refuse
        return None


def _shown(body: Any) -> str:
    """Names can be personal too, where a platform's names are the operator's: what looks like a number is masked."""
    return masked(orjson.dumps(outline(body), option=orjson.OPT_INDENT_2).decode(), mask=True)
