"""Events set aside because each of them alone breaks the build: moving them out of `raw.call_events` and back.

An event is in `raw.call_events` or in `raw.quarantined_events`, never in both or in neither: every move is one
transaction. Finding out which events break a build belongs to `breaking_events.py`.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from orchestration import build, warehouse
from orchestration.config import OrchestrationSettings
from orchestration.load.tables import ensure_tables

MODELS = "models"
_EVENTS, _HELD = f"{warehouse.RAW}.call_events", f"{warehouse.RAW}.quarantined_events"
_LISTED = f"""
select event_key, source, call_id, event_type, strlen(payload::varchar), received_at, reason, quarantined_at
from {_HELD} order by quarantined_at, received_at, event_key
"""
_IS_BUILT = f"""
select exists (
    select * from intermediate.int_calls as calls
    inner join {_EVENTS} as events on calls.source = events.source and calls.call_id = events.call_id
    where events.event_key in (select unnest($keys)) and calls.last_loaded_at >= events.loaded_at
)
"""


@dataclass(frozen=True)
class HeldEvent:
    """An event that is set aside: what it is, its size in bytes, why and when (ISO 8601, UTC)."""

    event_key: str
    source: str
    call_id: str | None
    event_type: str | None
    size: int
    received_at: str
    reason: str
    quarantined_at: str


def held_keys(settings: OrchestrationSettings) -> frozenset[str]:
    """The keys of all events that are set aside. Call inside `warehouse.writing`."""
    if not settings.warehouse.exists():
        return frozenset()
    with warehouse.connect(settings) as connection, suppress(duckdb.CatalogException):
        rows = connection.execute(f"select event_key from {_HELD}").fetchall()
        return frozenset(key for (key,) in rows)
    return frozenset()


def set_aside(settings: OrchestrationSettings, reasons: Mapping[str, str]) -> None:
    """Move events out of the event log, each with its reason, and have the models forget them.

    Where a call was built with such an event, the next build is a full one. Call inside `warehouse.writing`.
    """
    ensure_tables(settings)
    keys = list(reasons)
    with warehouse.connect(settings) as connection:
        is_built = _is_true(connection, _IS_BUILT, keys)
    if is_built:
        build.ask_for_refresh(settings, MODELS)
    now = datetime.now(UTC).replace(tzinfo=None)
    with warehouse.connect(settings, read_only=False) as connection:
        connection.execute("begin")
        for key, reason in reasons.items():
            connection.execute(
                f"insert into {_HELD} by name select *, $reason as reason, $now as quarantined_at "
                f"from {_EVENTS} where event_key = $key",
                {"reason": reason, "now": now, "key": key},
            )
        connection.execute(f"delete from {_EVENTS} where event_key in (select unnest($keys))", {"keys": keys})
        if _has_table(connection, "intermediate", "int_events"):
            connection.execute(
                "delete from intermediate.int_events where event_key in (select unnest($keys))", {"keys": keys}
            )
        connection.execute("commit")
    write_notice(settings)


def release(settings: OrchestrationSettings, keys: Sequence[str] | None = None) -> int:
    """Move events back into the event log, all of them or those with these keys; how many they are.

    The next build makes everything anew, and may set aside again what still breaks it. Raises WarehouseBusy.
    """
    with warehouse.writing(settings):
        chosen = held_keys(settings) if keys is None else held_keys(settings) & set(keys)
        if not chosen:
            return 0
        # first: a full build too many does no harm, an event that no build looks at does
        build.ask_for_refresh(settings, MODELS)
        with warehouse.connect(settings, read_only=False) as connection:
            earliest = connection.execute(
                f"select min(loaded_at) from {_HELD} where event_key in (select unnest($keys))",
                {"keys": list(chosen)},
            ).fetchone()
            _suspect_from(settings, earliest[0] if earliest else None)
            connection.execute("begin")
            connection.execute(
                f"insert into {_EVENTS} by name select * exclude (reason, quarantined_at) "
                f"from {_HELD} where event_key in (select unnest($keys))",
                {"keys": list(chosen)},
            )
            connection.execute(
                f"delete from {_HELD} where event_key in (select unnest($keys))", {"keys": list(chosen)}
            )
            connection.execute("commit")
        write_notice(settings)
    return len(chosen)


def sweep(settings: OrchestrationSettings) -> None:
    """Take out of the event log what a load brought although it is set aside. Call inside `warehouse.writing`.

    A load leaves such events out itself, but not those of a package that was prepared before.
    """
    with warehouse.connect(settings, read_only=False) as connection:
        connection.execute(f"delete from {_EVENTS} where event_key in (select event_key from {_HELD})")


def listed(settings: OrchestrationSettings) -> list[HeldEvent]:
    """All events that are set aside, the first one first. Raises WarehouseBusy."""
    if not settings.warehouse.exists():
        return []
    with warehouse.writing(settings):
        return _listed(settings)


def _listed(settings: OrchestrationSettings) -> list[HeldEvent]:
    with warehouse.connect(settings) as connection, suppress(duckdb.CatalogException):
        return [
            HeldEvent(*row[:5], row[5].isoformat(), row[6], row[7].isoformat())
            for row in connection.execute(_LISTED).fetchall()
        ]
    return []


def write_notice(settings: OrchestrationSettings) -> None:
    """Write what is set aside to a file, for those who must not open the warehouse. Call inside `warehouse.writing`."""
    file, held = _notice(settings), _listed(settings)
    if not held:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text(json.dumps([asdict(event) for event in held]), encoding="utf-8")
    written.replace(file)


def noticed(settings: OrchestrationSettings) -> list[HeldEvent]:
    """What was set aside when this was written last. Opens no warehouse and waits for nothing."""
    try:
        entries: list[dict[str, Any]] = json.loads(_notice(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [HeldEvent(**entry) for entry in entries]


def _notice(settings: OrchestrationSettings) -> Path:
    return settings.dbt_target / "quarantine.json"


def built_through(settings: OrchestrationSettings) -> datetime | None:
    """When the newest event of the last successful build was loaded; naive UTC. None before the first one."""
    try:
        return datetime.fromisoformat(_mark(settings).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def remember_built(settings: OrchestrationSettings) -> None:
    """Remember that every event which is loaded now has been built. Call inside `warehouse.writing`."""
    with warehouse.connect(settings) as connection:
        newest = connection.execute(f"select max(loaded_at) from {_EVENTS}").fetchone()
    if newest and newest[0]:
        _write_mark(settings, newest[0])


def _suspect_from(settings: OrchestrationSettings, loaded_at: datetime | None) -> None:
    """Count events from this load on as not built yet."""
    mark = built_through(settings)
    if mark is not None and loaded_at is not None and loaded_at <= mark:
        _write_mark(settings, loaded_at - timedelta(microseconds=1))


def _write_mark(settings: OrchestrationSettings, mark: datetime) -> None:
    file = _mark(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(mark.isoformat(), encoding="utf-8")


def _mark(settings: OrchestrationSettings) -> Path:
    return settings.dbt_target / "built_through.txt"


def _is_true(connection: duckdb.DuckDBPyConnection, query: str, keys: list[str]) -> bool:
    try:
        row = connection.execute(query, {"keys": keys}).fetchone()
    except duckdb.CatalogException:
        return False
    return bool(row and row[0])


def _has_table(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    row = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = ? and table_name = ?", [schema, table]
    ).fetchone()
    return bool(row and row[0])
