"""Running the two dlt pipelines: landing store to warehouse (what is new, or a window again), outbox to warehouse.

Owns dlt's configuration, its working folder, and what a load reports. The sources are `events.py` and
`outcomes.py`.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings
from orchestration.load import cursor, held, packages
from orchestration.load.tables import ensure_tables
from orchestration.load.window import Window, window_parts
from orchestration.warehouse import duckdb_file
from receiver.landing import open_landing

# set before dlt reads them: no telemetry, no log of its own, and plain Parquet between two steps on one disk
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
os.environ.setdefault("DATA_WRITER__COMPRESSION", "none")
os.environ.setdefault("LOAD__DELETE_COMPLETED_JOBS", "true")

LANDING = "landing"
OUTBOX = "outbox"


@dataclass(frozen=True)
class LoadReport:
    """What a load brought: rows by table, bytes of landing lines read, seconds it took."""

    rows: dict[str, int]
    read_bytes: int
    seconds: float


def declared(settings: OrchestrationSettings, name: str) -> Any:
    """The pipeline of that name for those who only ask what it is called and where it leads.

    Every process that imports the code location declares one, several at once and while another may be about to
    load, and dlt empties the working folder of a pipeline that never ran. So it gets one of this process alone.
    """
    return _pipeline(settings, name, Path(_private_folder().name))


@cache
def _private_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="aftercall-dlt-", ignore_cleanup_errors=True)


def pipeline(settings: OrchestrationSettings, name: str) -> Any:
    """The dlt pipeline of that name, working below the state directory; for the one process that may run it now.

    When the warehouse file is gone, so is what dlt remembers of it: everything is loaded again.
    """
    if not settings.warehouse.exists():
        shutil.rmtree(settings.dlt / name, ignore_errors=True)
    packages.remove_loaded(settings.dlt / name)
    return _pipeline(settings, name, settings.dlt)


def _pipeline(settings: OrchestrationSettings, name: str, folder: Path) -> Any:
    import dlt

    return dlt.pipeline(
        pipeline_name=name,
        pipelines_dir=str(folder),
        destination=duckdb_file.destination(settings),
        dataset_name=duckdb_file.RAW,
    )


def _is_unfinished(settings: OrchestrationSettings) -> bool:
    """Whether a load was killed, or is under way; for those who do not hold the warehouse.

    dlt empties a working folder without a state, and a first load may be at work in it.
    """
    if not settings.warehouse.exists() or not _state_file(settings).exists():
        return False
    return bool(_pipeline(settings, LANDING, settings.dlt).has_pending_data)


def _state_file(settings: OrchestrationSettings) -> Path:
    return settings.dlt / LANDING / "state.json"


def landing_backlog(settings: OrchestrationSettings) -> int:
    """Bytes that no finished load has taken, torn lines included; an unfinished load counts as one byte."""
    waiting = cursor.backlog_bytes(open_landing(settings.home), positions(settings))
    return waiting + int(_is_unfinished(settings))


def has_new_lines(settings: OrchestrationSettings) -> bool:
    """Whether a load would find a whole line now; a torn last line is none."""
    if _is_unfinished(settings):
        return True
    store = open_landing(settings.home)
    return any(
        store.read(segment.path, position, 1 << 16).data
        for segment, position in cursor.unread(store, positions(settings))
    )


def load_events(
    settings: OrchestrationSettings, progress: Callable[[int, int], None] | None = None
) -> LoadReport:
    """Load what is new in the landing store as this begins. `progress` gets bytes done and bytes in all.

    What lands meanwhile waits for the next load, so that this one ends whatever the traffic. A load that was killed
    is finished first, or done again. Raises WarehouseBusy when another process writes for too long.
    """
    started = time.monotonic()
    with duckdb_file.writing(settings):
        forget_half_loaded(pipeline(settings, LANDING))
        before = _row_counts(settings)
        unread = list(cursor.unread(open_landing(settings.home), positions(settings)))
        sizes = {segment.path: segment.size for segment, _ in unread}
        total = sum(segment.size - position for segment, position in unread)
        set_aside = held.held_events(settings)
        keys = frozenset(event.event_key for event in set_aside)
        remaining = duckdb_file.with_enough_memory(
            settings, lambda roomy: _load_all(roomy, sizes, keys, total, progress)
        )
        ensure_tables(settings)
        if keys:
            held.sweep(settings)
        held.write_notice(settings, set_aside)
        after = _row_counts(settings)
    rows = {table: count - before[table] for table, count in after.items()}
    return LoadReport(rows, total - remaining, time.monotonic() - started)


def _load_all(
    settings: OrchestrationSettings,
    sizes: Mapping[str, int],
    set_aside: frozenset[str],
    total: int,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Load until nothing is left of what the segments held at these sizes; the bytes that stay are a torn line's."""
    from orchestration.load.events import landing

    waiting = pipeline(settings, LANDING)
    _finish(waiting)
    remaining = total
    while True:
        waiting.run(landing(settings, sizes, set_aside))
        before = remaining
        remaining = cursor.backlog_bytes(open_landing(settings.home), positions(settings), sizes)
        if progress is not None:
            progress(total - remaining, total)
        if remaining in (0, before):
            return remaining


def reload_window(
    settings: OrchestrationSettings, window: Window, progress: Callable[[int, int], None] | None = None
) -> LoadReport:
    """Load all that was received in a window, again or for the first time; `rows` counts what was missing.

    What is in the raw tables already stays as it is, and the cursors stay where they are. Call inside
    `warehouse.writing`. `progress` gets bytes read and bytes in all.
    """
    from orchestration.load.events import landed_before

    started = time.monotonic()
    waiting = pipeline(settings, LANDING)
    _finish(waiting)
    ensure_tables(settings)
    before = _row_counts(settings)
    segments = list(window.segments(open_landing(settings.home)))
    total, done = sum(segment.size for segment in segments), 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    set_aside = frozenset(event.event_key for event in held.held_events(settings))
    for part in window_parts(segments, settings.load_max_bytes):
        waiting.run(landed_before(settings, window, part, advance, set_aside))
    held.sweep(settings)
    after = _row_counts(settings)
    rows = {table: count - before[table] for table, count in after.items()}
    return LoadReport(rows, done, time.monotonic() - started)


def positions(settings: OrchestrationSettings) -> dict[str, Any]:
    """How far the last load has read, as dlt wrote it to its working folder; opens nothing, waits for nothing.

    While a load is under way it may be ahead of the warehouse.
    """
    file = _state_file(settings)
    if not settings.warehouse.exists() or not file.exists():
        return {}
    state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")).get("sources", {}).get(LANDING, {})
    return state


def loaded_positions(settings: OrchestrationSettings) -> dict[str, Any]:
    """How far the warehouse itself has it, never ahead of its rows. Call inside `warehouse.writing`."""
    from dlt.destinations.exceptions import DatabaseUndefinedRelation
    from dlt.pipeline.state_sync import load_pipeline_state_from_destination

    if not settings.warehouse.exists():
        return {}
    try:
        with pipeline(settings, LANDING).destination_client() as client:
            stored: Any = load_pipeline_state_from_destination(LANDING, client)
    except DatabaseUndefinedRelation:
        return {}
    state: dict[str, Any] = (stored or {}).get("sources", {}).get(LANDING, {})
    return state


def load_outcomes(settings: OrchestrationSettings, integrations: IntegrationSettings) -> LoadReport:
    """Load what became of every action since the last time."""
    from orchestration.load.outcomes import outbox

    started = time.monotonic()
    rows: dict[str, int] = {"outbox_actions": 0}
    with duckdb_file.writing(settings):
        waiting = pipeline(settings, OUTBOX)
        _finish(waiting)
        _count(waiting, waiting.run(outbox(integrations)), rows)
        ensure_tables(settings)
    return LoadReport(rows, 0, time.monotonic() - started)


def forget_half_loaded(waiting: Any) -> None:
    """Go back to the state that the warehouse itself holds, if a load was killed while it wrote there.

    dlt would copy the same file into its staging table once more, and MERGE would insert every row of it twice.
    Reading again is harmless: the keys know what is there. Call inside `warehouse.writing`.
    """
    jobs = [waiting.get_load_package_info(load).jobs for load in waiting.list_normalized_load_packages()]
    if any(names for of_package in jobs for state, names in of_package.items() if state != "new_jobs"):
        waiting.drop()
        waiting.sync_destination()


def _finish(waiting: Any) -> None:
    """Complete the package of a load that was killed: dlt's `run` would load it and ignore new data."""
    forget_half_loaded(waiting)
    if waiting.has_pending_data:
        waiting.run()


def _count(waiting: Any, info: Any, rows: dict[str, int]) -> None:
    trace = waiting.last_trace
    if info is None or trace is None or trace.last_normalize_info is None:
        return
    for table, count in trace.last_normalize_info.row_counts.items():
        if table in rows:
            rows[table] += count


def _row_counts(settings: OrchestrationSettings) -> dict[str, int]:
    """Rows of the two tables of the landing store; none where there is no table yet."""
    counts = {"call_events": 0, "rejected_lines": 0}
    if settings.warehouse.exists():
        with duckdb_file.connect(settings) as connection:
            for table in counts:
                with suppress(duckdb.CatalogException):
                    counts[table] = connection.table(f"{duckdb_file.RAW}.{table}").count("*").fetchall()[0][0]
    return counts
