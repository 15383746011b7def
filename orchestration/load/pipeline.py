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

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings
from orchestration.load import cursor, packages, quarantined
from orchestration.load.tables import ensure_tables
from orchestration.load.window import Window, window_parts
from orchestration.warehouse import (
    RAW,
    Connection,
    LandingMarks,
    RelationMissing,
    open_warehouse,
    with_enough_memory,
)
from receiver.landing import open_landing

# set before dlt reads them: no telemetry, no log of its own, and plain Parquet between two steps on one disk
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
os.environ.setdefault("DATA_WRITER__COMPRESSION", "none")
os.environ.setdefault("LOAD__DELETE_COMPLETED_JOBS", "true")

LANDING = "landing"
OUTBOX = "outbox"
# as dlt itself asks for it: of the newest load that was completed
_STORED_STATE = f"""
select states.state
from {RAW}._dlt_pipeline_state as states
inner join {RAW}._dlt_loads as loads on states._dlt_load_id = loads.load_id
where states.pipeline_name = ? and loads.status = 0
order by loads.load_id desc
limit 1
"""  # noqa: S608 - constants only


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
    if not open_warehouse(settings).exists():
        shutil.rmtree(settings.dlt / name, ignore_errors=True)
    packages.remove_loaded(settings.dlt / name)
    return _pipeline(settings, name, settings.dlt)


def _pipeline(settings: OrchestrationSettings, name: str, folder: Path) -> Any:
    import dlt

    return dlt.pipeline(
        pipeline_name=name,
        pipelines_dir=str(folder),
        destination=open_warehouse(settings).destination(),
        dataset_name=RAW,
    )


def _is_unfinished(settings: OrchestrationSettings) -> bool:
    """Whether a load was killed, or is under way; for those who do not hold the warehouse.

    dlt empties a working folder without a state, and a first load may be at work in it.
    """
    if not open_warehouse(settings).exists() or not _state_file(settings).exists():
        return False
    return bool(_pipeline(settings, LANDING, settings.dlt).has_pending_data)


def _state_file(settings: OrchestrationSettings) -> Path:
    return settings.dlt / LANDING / "state.json"


def landing_backlog(settings: OrchestrationSettings) -> int:
    """Bytes that no finished load has taken, torn lines included; an unfinished load counts as one byte."""
    waiting = cursor.backlog_bytes(open_landing(settings.landing), positions(settings))
    return waiting + int(_is_unfinished(settings))


def has_new_lines(settings: OrchestrationSettings) -> bool:
    """Whether a load would find a whole line now; a torn last line is none."""
    if _is_unfinished(settings):
        return True
    store = open_landing(settings.landing)
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
    with open_warehouse(settings).writing():
        forget_half_loaded(pipeline(settings, LANDING))
        before = _row_counts(settings)
        unread = list(cursor.unread(open_landing(settings.landing), positions(settings)))
        sizes = {segment.path: segment.size for segment, _ in unread}
        total = sum(segment.size - position for segment, position in unread)
        set_aside = quarantined.quarantined_events(settings)
        keys = frozenset(event.event_key for event in set_aside)
        remaining = with_enough_memory(settings, lambda roomy: _load_all(roomy, sizes, keys, total, progress))
        ensure_tables(settings)
        if keys:
            quarantined.sweep(settings)
        quarantined.write_notice(settings, set_aside)
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
        remaining = cursor.backlog_bytes(open_landing(settings.landing), positions(settings), sizes)
        if progress is not None:
            progress(total - remaining, total)
        if remaining in (0, before):
            return remaining


def reload_window(
    settings: OrchestrationSettings, window: Window, progress: Callable[[int, int], None] | None = None
) -> LoadReport:
    """Load all that was received in a window, again or for the first time; `rows` counts what was missing.

    What is in the raw tables already stays as it is, and the cursors stay where they are. Call inside
    `Warehouse.writing`. `progress` gets bytes read and bytes in all.
    """
    from orchestration.load.events import landed_before

    started = time.monotonic()
    waiting = pipeline(settings, LANDING)
    _finish(waiting)
    ensure_tables(settings)
    before = _row_counts(settings)
    segments = list(window.segments(open_landing(settings.landing)))
    total, done = sum(segment.size for segment in segments), 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    set_aside = frozenset(event.event_key for event in quarantined.quarantined_events(settings))
    for part in window_parts(segments, settings.load_max_bytes):
        waiting.run(landed_before(settings, window, part, advance, set_aside))
    quarantined.sweep(settings)
    after = _row_counts(settings)
    rows = {table: count - before[table] for table, count in after.items()}
    return LoadReport(rows, done, time.monotonic() - started)


def positions(settings: OrchestrationSettings) -> dict[str, Any]:
    """How far the last load has read, as dlt wrote it to its working folder; opens nothing, waits for nothing.

    While a load is under way it may be ahead of the warehouse.
    """
    file = _state_file(settings)
    if not open_warehouse(settings).exists() or not file.exists():
        return {}
    state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")).get("sources", {}).get(LANDING, {})
    return state


def loaded_positions(settings: OrchestrationSettings) -> dict[str, Any]:
    """How far the warehouse itself has it, never ahead of its rows. Call inside `Warehouse.reading`."""
    warehouse = open_warehouse(settings)
    if not warehouse.exists():
        return {}
    with warehouse.connect() as connection:
        return _stored_positions(connection)


def landing_marks(connection: Connection) -> LandingMarks:
    """The same as marks of the landing store."""
    state = _stored_positions(connection)
    return LandingMarks(state.get("cursors", {}), state.get("done_before", ""))


def _stored_positions(connection: Connection) -> dict[str, Any]:
    from dlt.common.versioned_state import decompress_state
    from dlt.pipeline.state_sync import migrate_state_to_current

    try:
        packed = connection.value(_STORED_STATE, [LANDING])
    except RelationMissing:  # nothing was ever loaded
        return {}
    if packed is None:
        return {}
    state: Any = migrate_state_to_current(LANDING, decompress_state(packed))
    positions: dict[str, Any] = state.get("sources", {}).get(LANDING, {})
    return positions


def load_outcomes(settings: OrchestrationSettings, integrations: IntegrationSettings) -> LoadReport:
    """Load what became of every action since the last time."""
    from orchestration.load.outcomes import outbox

    started = time.monotonic()
    rows: dict[str, int] = {"outbox_actions": 0}
    with open_warehouse(settings).writing():
        waiting = pipeline(settings, OUTBOX)
        _finish(waiting)
        _count(waiting, waiting.run(outbox(integrations)), rows)
        ensure_tables(settings)
    return LoadReport(rows, 0, time.monotonic() - started)


def forget_half_loaded(waiting: Any) -> None:
    """Go back to the state that the warehouse itself holds, if a load was killed while it wrote there.

    dlt would copy the same file into its staging table once more, and MERGE would insert every row of it twice.
    Reading again is harmless: the keys know what is there. Call inside `Warehouse.writing`.
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
    warehouse = open_warehouse(settings)
    if warehouse.exists():
        with warehouse.connect() as connection:
            for table in counts:
                with suppress(RelationMissing):
                    counts[table] = connection.value(f"select count(*) from {RAW}.{table}")  # noqa: S608
    return counts
