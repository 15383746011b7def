"""Events set aside because each of them alone breaks the build: moving them out of `raw.call_events` and back.

An event is in `raw.call_events` or in `raw.quarantined_events`, never in both or in neither: every move is one
transaction. Finding out which events break a build belongs to `breaking_events.py`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from orchestration.config import OrchestrationSettings
from orchestration.load.pipeline import landing_marks
from orchestration.load.quarantined import QuarantinedEvent, quarantined_events, write_notice
from orchestration.load.tables import EVENTS, QUARANTINED, ensure_tables
from orchestration.warehouse import Connection, RelationMissing, built, dbt, open_warehouse
from orchestration.warehouse.built import BuiltThrough

MODELS = "models"
"""The part of the project that these events are built into."""
_IS_BUILT = f"""
select count(*)
from intermediate.int_calls_merged as calls
inner join {EVENTS} as events on calls.source = events.source and calls.call_id = events.call_id
where events.event_key in (select unnest($keys)) and calls.last_loaded_at >= events.loaded_at
"""  # noqa: S608 - constants only
_SET_ASIDE = f"""
insert into {QUARANTINED} by name
select *, $reason as reason, $now as quarantined_at from {EVENTS} where event_key = $key
"""  # noqa: S608 - constants only
_RELEASE = f"""
insert into {EVENTS} by name
select * exclude (reason, quarantined_at) from {QUARANTINED} where event_key in (select unnest($keys))
"""  # noqa: S608 - constants only


def set_aside(settings: OrchestrationSettings, reasons: Mapping[str, str]) -> None:
    """Move events out of the event log, each with its reason, and have the models forget them.

    Where a call was built with such an event, the next build is a full one. Call inside `Warehouse.writing`.
    """
    ensure_tables(settings)
    warehouse, keys = open_warehouse(settings), {"keys": list(reasons)}
    with warehouse.connect() as connection:
        is_built = _count(connection, _IS_BUILT, keys) > 0
    if is_built:  # first: a full build too many does no harm
        dbt.request_full_refresh(settings, MODELS)
    now = datetime.now(UTC).replace(tzinfo=None)
    with warehouse.connect(read_only=False) as connection:
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
    write_notice(settings, quarantined_events(settings))


def release(settings: OrchestrationSettings, keys: Sequence[str] | None = None) -> int:
    """Move events back into the event log, those with these keys or all of them; how many they are.

    The next build makes everything anew, and sets aside again what still breaks it. Raises WarehouseBusy.
    """
    warehouse = open_warehouse(settings)
    with warehouse.writing():
        quarantined = {event.event_key for event in quarantined_events(settings)}
        chosen = {"keys": sorted(quarantined if keys is None else quarantined & set(keys))}
        if not chosen["keys"]:
            return 0
        # first: a full build too many does no harm, an event that no build looks at does
        dbt.request_full_refresh(settings, MODELS)
        with warehouse.connect(read_only=False) as connection:
            oldest = connection.value(
                f"select min(loaded_at) from {QUARANTINED} where event_key in (select unnest($keys))",  # noqa: S608
                chosen,
            )
            _suspect_from(settings, oldest)
            connection.execute("begin")
            connection.execute(_RELEASE, chosen)
            connection.execute(
                f"delete from {QUARANTINED} where event_key in (select unnest($keys))",  # noqa: S608
                chosen,
            )
            connection.execute("commit")
        write_notice(settings, quarantined_events(settings))
    return len(chosen["keys"])


def listed(settings: OrchestrationSettings) -> list[QuarantinedEvent]:
    """All events that are set aside, the first one first. Raises WarehouseBusy."""
    warehouse = open_warehouse(settings)
    if not warehouse.exists():
        return []
    with warehouse.reading():
        return quarantined_events(settings)


def loaded_through(settings: OrchestrationSettings) -> BuiltThrough | None:
    """How far the warehouse is loaded, for `remember_built` once that is built; None without events.

    Raises WarehouseBusy.
    """
    warehouse = open_warehouse(settings)
    with warehouse.reading(), warehouse.connect() as connection:
        newest = connection.value(f"select max(loaded_at) from {EVENTS}")  # noqa: S608
        return BuiltThrough(newest, landing_marks(connection)) if newest is not None else None


def remember_built(settings: OrchestrationSettings, loaded: BuiltThrough | None) -> None:
    """Remember that every event loaded until then has been built: none of them breaks a build."""
    if loaded is not None and loaded != built.read(settings):
        built.write(settings, loaded)


def _suspect_from(settings: OrchestrationSettings, loaded_at: datetime | None) -> None:
    """Count events from this load on as not built yet."""
    noted = built.read(settings)
    if noted is not None and loaded_at is not None and loaded_at <= noted.loaded_at:
        built.write(settings, replace(noted, loaded_at=loaded_at - timedelta(microseconds=1)))


def _count(connection: Connection, query: str, values: Mapping[str, object]) -> int:
    """The number that a query counts; 0 where a table is not there yet."""
    with suppress(RelationMissing):
        return int(connection.value(query, values))
    return 0
