"""Events set aside because each of them alone breaks the build: moving them out of `raw.call_events` and back.

An event is in `raw.call_events` or in `raw.quarantined_events`, never in both or in neither: every move is one
transaction. Finding out which events break a build belongs to `breaking_events.py`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from orchestration.config import OrchestrationSettings
from orchestration.load.held import EVENTS, HELD, HeldEvent, held_events, write_notice
from orchestration.load.tables import ensure_tables
from orchestration.warehouse import dbt, duckdb_file

MODELS = "models"
"""The part of the project that these events are built into."""
_IS_BUILT = f"""
select count(*)
from intermediate.int_calls_merged as calls
inner join {EVENTS} as events on calls.source = events.source and calls.call_id = events.call_id
where events.event_key in (select unnest($keys)) and calls.last_loaded_at >= events.loaded_at
"""  # noqa: S608 - constants only
_SET_ASIDE = f"""
insert into {HELD} by name
select *, $reason as reason, $now as quarantined_at from {EVENTS} where event_key = $key
"""  # noqa: S608 - constants only
_RELEASE = f"""
insert into {EVENTS} by name
select * exclude (reason, quarantined_at) from {HELD} where event_key in (select unnest($keys))
"""  # noqa: S608 - constants only


def set_aside(settings: OrchestrationSettings, reasons: Mapping[str, str]) -> None:
    """Move events out of the event log, each with its reason, and have the models forget them.

    Where a call was built with such an event, the next build is a full one. Call inside `warehouse.writing`.
    """
    ensure_tables(settings)
    keys = {"keys": list(reasons)}
    with duckdb_file.connect(settings) as connection:
        is_built = _count(connection, _IS_BUILT, keys) > 0
    if is_built:  # first: a full build too many does no harm
        dbt.request_full_refresh(settings, MODELS)
    now = datetime.now(UTC).replace(tzinfo=None)
    with duckdb_file.connect(settings, read_only=False) as connection:
        connection.execute("begin")
        for key, reason in reasons.items():
            connection.execute(_SET_ASIDE, {"reason": reason, "now": now, "key": key})
        connection.execute(f"delete from {EVENTS} where event_key in (select unnest($keys))", keys)  # noqa: S608
        if _count(
            connection, "select count(*) from duckdb_tables() where table_name = 'int_events_unioned'", {}
        ):
            connection.execute(
                "delete from intermediate.int_events_unioned where event_key in (select unnest($keys))", keys
            )
        connection.execute("commit")
    write_notice(settings, held_events(settings))


def release(settings: OrchestrationSettings, keys: Sequence[str] | None = None) -> int:
    """Move events back into the event log, those with these keys or all of them; how many they are.

    The next build makes everything anew, and sets aside again what still breaks it. Raises WarehouseBusy.
    """
    with duckdb_file.writing(settings):
        held = {event.event_key for event in held_events(settings)}
        chosen = {"keys": sorted(held if keys is None else held & set(keys))}
        if not chosen["keys"]:
            return 0
        # first: a full build too many does no harm, an event that no build looks at does
        dbt.request_full_refresh(settings, MODELS)
        with duckdb_file.connect(settings, read_only=False) as connection:
            row = connection.execute(
                f"select min(loaded_at) from {HELD} where event_key in (select unnest($keys))",  # noqa: S608
                chosen,
            ).fetchone()
            _suspect_from(settings, row[0] if row else None)
            connection.execute("begin")
            connection.execute(_RELEASE, chosen)
            connection.execute(f"delete from {HELD} where event_key in (select unnest($keys))", chosen)  # noqa: S608
            connection.execute("commit")
        write_notice(settings, held_events(settings))
    return len(chosen["keys"])


def listed(settings: OrchestrationSettings) -> list[HeldEvent]:
    """All events that are set aside, the first one first. Raises WarehouseBusy."""
    if not settings.warehouse.exists():
        return []
    with duckdb_file.writing(settings):
        return held_events(settings)


def built_through(settings: OrchestrationSettings) -> datetime | None:
    """When the newest event of the last successful build was loaded, naive UTC. None before the first build."""
    with suppress(FileNotFoundError, ValueError):
        return datetime.fromisoformat(_mark(settings).read_text(encoding="utf-8"))
    return None


def newest_load(settings: OrchestrationSettings) -> datetime | None:
    """When the newest event was loaded, naive UTC; None without events. Raises WarehouseBusy."""
    with duckdb_file.writing(settings), duckdb_file.connect(settings) as connection:
        row = connection.execute(f"select max(loaded_at) from {EVENTS}").fetchone()  # noqa: S608
    return row[0] if row else None


def remember_built(settings: OrchestrationSettings, loaded_at: datetime | None) -> None:
    """Remember that every event loaded until then has been built: none of them breaks a build."""
    if loaded_at is not None and loaded_at != built_through(settings):
        _write_mark(settings, loaded_at)


def _suspect_from(settings: OrchestrationSettings, loaded_at: datetime | None) -> None:
    """Count events from this load on as not built yet."""
    mark = built_through(settings)
    if mark is not None and loaded_at is not None and loaded_at <= mark:
        _write_mark(settings, loaded_at - timedelta(microseconds=1))


def _write_mark(settings: OrchestrationSettings, mark: datetime) -> None:
    file = _mark(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text(mark.isoformat(), encoding="utf-8")
    written.replace(file)


def _mark(settings: OrchestrationSettings) -> Path:
    return settings.dbt_target / "built_through.txt"


def _count(connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, object]) -> int:
    """The number that a query counts; 0 where a table is not there yet."""
    with suppress(duckdb.CatalogException):
        row = connection.execute(query, dict(values)).fetchone()
        return int(row[0]) if row else 0
    return 0
