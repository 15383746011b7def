"""A backlog of any size in a landing store, of the size and kind that real calls have.

Some simulated calls with longer transcripts, copied with ids and days of their own; written by the
receiver's own envelope and segments, but many lines to an fsync. No HTTP, and nothing about loading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path

import orjson

from orchestration.simulator import Delivery, simulate
from receiver.envelope import Facts, line, seal
from receiver.landing.local import SEGMENT_BYTES
from receiver.landing.segment import SegmentWriter
from receiver.sources import SOURCES

TEMPLATE_CALLS = 2000
TURNS = 15
DAYS = 28
LINES_A_WRITE = 2000
START = datetime(2026, 11, 23, 8, tzinfo=UTC)


@dataclass(frozen=True)
class _Template:
    body: bytes
    facts: Facts
    at: datetime


def make_backlog(home: Path, events: int, seed: int = 1) -> Path:
    """Write `events` lines to the landing store of `home` and return its folder.

    About one line in twenty is a second delivery of an event, as in the traffic itself; every copy of the
    template calls has call ids of its own and lies on one of the four weeks of days before `START`.
    """
    templates = [_template(delivery) for delivery in simulate(TEMPLATE_CALLS, seed, START)]
    lines = islice((_line(template, copy) for copy in count() for template in templates), events)
    writer = SegmentWriter(home / "landing", SEGMENT_BYTES)
    for batch in _batches(lines):
        writer.write(batch)
    writer.close()
    return home / "landing"


def _template(delivery: Delivery) -> _Template:
    event = orjson.loads(delivery.body)
    turns = event.get("metadata", event).get("transcript")
    if turns:
        turns.extend(turns[2 + n % (len(turns) - 2)] for n in range(TURNS - len(turns)))
    body = orjson.dumps(event)
    return _Template(body, SOURCES["atoms"].facts(event, {}), delivery.at)


def _line(template: _Template, copy: int) -> bytes:
    facts, back = template.facts, timedelta(days=copy % DAYS)
    call_id = facts.call_id or ""
    # the wire dialect's ids end in six random hex digits, and the milliseconds before them stay as they are
    is_wire = call_id.startswith("CALL-")
    own_call = f"{call_id[:-6]}{int(call_id[-6:], 16) ^ copy:06x}" if is_wire else f"{call_id}_{copy}"
    body = template.body.replace(call_id.encode(), own_call.encode())
    body = body.replace(START.date().isoformat().encode(), (START - back).date().isoformat().encode())
    own_id = None
    if facts.event_id is not None:
        own_id = f"{int(facts.event_id, 16) ^ copy:024x}"
        body = body.replace(facts.event_id.encode(), own_id.encode())
    occurred_at = facts.occurred_at - back if facts.occurred_at else None
    own = replace(facts, event_id=own_id, call_id=own_call, occurred_at=occurred_at)
    return line(seal("atoms", own, body, template.at - back), body)


def _batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(lines, LINES_A_WRITE)):
        yield batch
