"""The dlt sources of the landing store, both with `call_events` and `rejected_lines`: what is new, and a window again.

Hands Arrow batches on. Parsing is `lines.py`, positions are `cursor.py`, windows are `window.py`, running it is
`pipeline.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.config import OrchestrationSettings
from orchestration.load import cursor, lines
from orchestration.load.tables import columns_for_dlt
from orchestration.load.window import Window
from orchestration.warehouse import memory_connection
from receiver.landing import LandingStore, Segment, open_landing

INSERT_ONLY: Any = {"disposition": "merge", "strategy": "insert-only"}


@dataclass(frozen=True)
class Batch:
    """What one chunk of one segment holds."""

    segment: str
    parsed: lines.Parsed


@dlt.source(name="landing", max_table_nesting=0)
def landing(
    settings: OrchestrationSettings,
    sizes: Mapping[str, int] | None = None,
    quarantined: frozenset[str] = frozenset(),
) -> Any:
    """New lines of the landing store, as the two raw tables; with `sizes`, those before these sizes of segments.

    Events with the keys `quarantined` are left out: they are set aside.
    """
    return _tables(lambda state: _new(open_landing(settings.landing), settings, state, sizes), quarantined)


@dlt.source(name="landing", max_table_nesting=0)
def landed_before(
    settings: OrchestrationSettings,
    window: Window,
    segments: Sequence[Segment],
    advance: Callable[[int], None],
    quarantined: frozenset[str] = frozenset(),
) -> Any:
    """Lines of some segments that were received in a window, whether loaded or not; the cursors stay.

    `advance` is told how many bytes were read. Events with the keys `quarantined` are left out: they are set aside.
    """
    return _tables(
        lambda _: _again(open_landing(settings.landing), settings, window, segments, advance), quarantined
    )


def _tables(batches_of: Callable[[dict[str, Any]], Iterator[Batch]], quarantined: frozenset[str]) -> Any:
    """The two raw tables out of batches, which are made when dlt asks, with the state of the source.

    Events with the keys `quarantined` count as seen.
    """

    @dlt.resource(name="landing_batches", selected=False)
    def landing_batches() -> Iterator[Batch]:
        state = dlt.current.source_state()
        state["loaded_at"] = later_than(state.get("loaded_at"))
        yield from _ahead(batches_of(state))

    @dlt.transformer(
        data_from=landing_batches,
        name="call_events",
        write_disposition=INSERT_ONLY,
        primary_key="event_key",
        columns=columns_for_dlt("call_events"),
    )
    def call_events(batch: Batch) -> Iterator[pa.Table]:
        state = dlt.current.source_state()
        table = _first_of_each(batch.parsed.events, seen)
        if table.num_rows:
            yield _stamped(table, state["loaded_at"])

    @dlt.transformer(
        data_from=landing_batches,
        name="rejected_lines",
        write_disposition=INSERT_ONLY,
        primary_key="position_key",
        columns=columns_for_dlt("rejected_lines"),
    )
    def rejected_lines(batch: Batch) -> Iterator[pa.Table]:
        state = dlt.current.source_state()
        rejected = batch.parsed.rejected
        if rejected.num_rows:
            yield _stamped(_located(rejected, batch.segment), state["loaded_at"])

    seen = set(quarantined)
    return call_events, rejected_lines


def _new(
    store: LandingStore,
    settings: OrchestrationSettings,
    state: dict[str, Any],
    sizes: Mapping[str, int] | None,
) -> Iterator[Batch]:
    """Chunks behind the cursors, at most `load_max_bytes` (but a whole line); the cursor moves with each."""
    cursor.forget(store, state)
    unread = list(cursor.unread(store, state, sizes))
    with memory_connection(settings) as connection:
        for piece in store.read_all(_first_bytes(unread, settings.load_max_bytes), settings.load_chunk_bytes):
            yield Batch(piece.segment.path, lines.parse(connection, piece.data, piece.offset))
            cursor.advance(state, piece.segment.path, piece.end)


def _again(
    store: LandingStore,
    settings: OrchestrationSettings,
    window: Window,
    segments: Sequence[Segment],
    advance: Callable[[int], None],
) -> Iterator[Batch]:
    with memory_connection(settings) as connection:
        for piece in store.read_all(((segment, 0) for segment in segments), settings.load_chunk_bytes):
            parsed = lines.parse(connection, piece.data, piece.offset)
            yield Batch(piece.segment.path, lines.Parsed(window.only(parsed.events), parsed.rejected))
            advance(len(piece.data))


def _first_bytes(unread: Sequence[tuple[Segment, int]], most_bytes: int) -> Iterator[tuple[Segment, int]]:
    """As much of what is unread, from the first, as `most_bytes` hold."""
    for segment, start in unread:
        size = min(segment.size, start + most_bytes)
        yield replace(segment, size=size), start
        most_bytes -= size - start
        if most_bytes <= 0:
            return


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each prepared in a thread while dlt writes the one before: both free the GIL."""
    with ThreadPoolExecutor(1, thread_name_prefix="landing") as pool:
        upcoming = pool.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = pool.submit(next, batches, None)
            yield batch


def _first_of_each(events: pa.Table, seen: set[str]) -> pa.Table:
    """Events whose key this load has not seen: dlt's MERGE keeps a repeat out of the table, not of the batch."""
    fresh = []
    for key in events["event_key"].to_pylist():
        fresh.append(key not in seen)
        seen.add(key)
    return events if all(fresh) else events.filter(pa.array(fresh, pa.bool_()))


def _stamped(table: pa.Table, loaded_at: str) -> pa.Table:
    moment = pa.scalar(datetime.fromisoformat(loaded_at).replace(tzinfo=None), pa.timestamp("us"))
    return table.append_column("loaded_at", pa.repeat(moment, table.num_rows))


def _located(rejected: pa.Table, segment: str) -> pa.Table:
    offsets = rejected["position"]
    return pa.table(
        {
            "position_key": pc.binary_join_element_wise(segment, offsets.cast(pa.string()), "@"),
            "segment": pa.repeat(pa.scalar(segment), rejected.num_rows),
            "byte_offset": offsets,
            "reason": rejected["reason"],
            "line": rejected["line"].cast(pa.string()),
        }
    )


def later_than(previous: str | None) -> str:
    """Now, or just after the load before when the clock went back: dbt finds new rows by this value."""
    now = datetime.now(UTC)
    if previous is not None:
        now = max(now, datetime.fromisoformat(previous) + timedelta(microseconds=1))
    return now.isoformat()
