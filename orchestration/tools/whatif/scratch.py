"""The scratch warehouse of a trial: a file of its own, the events of some calls in it, and each build kept beside.

The real warehouse is read once, for the time of a copy; dbt never sees its address. A file and not schemas in the
real one, because a build takes minutes and a DuckDB file has one process at a time.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

import duckdb

from orchestration.config import OrchestrationSettings
from orchestration.load.window import Window
from orchestration.warehouse import duckdb_file

CONFIGURED, PROPOSED = "configured", "proposed"
"""The schemas of the two sides: the rules as they are, and as they would be."""
CALLS = "calls"
"""The table of calls on either side; all others are the models of what is due, under their own names."""
OF_CALLS = ("int_calls_interpreted", "int_calls_measured", "int_calls_repeats_marked", "int_calls_costed")
"""The models that this table is made of, by `call_key`; of a column that several have, the first's."""
_SYNC, _INTERMEDIATE = "sync", "intermediate"
# A call belongs to the window by its first event, and comes with all of them.
_CHOSEN = """
create or replace temp table chosen as
select source, call_id
from production.raw.call_events
where call_id is not null and received_at >= $since and received_at < $until
group by all;
"""
_BEGUN_EARLIER = """
delete from chosen using production.raw.call_events as events
where events.received_at < $since and events.source = chosen.source and events.call_id = chosen.call_id
"""
_THEIR_EVENTS = """
create or replace table raw.call_events as
select events.*
from production.raw.call_events as events
inner join chosen on events.source = chosen.source and events.call_id = chosen.call_id
where events.received_at >= $since
"""


@contextmanager
def scratch(settings: OrchestrationSettings, keep: Path | None = None) -> Iterator[OrchestrationSettings]:
    """An empty home of its own for one trial at a time; what a killed one left is removed first.

    Removed at the end, or moved to `keep`. Raises WarehouseBusy while another trial goes on for too long.
    """
    root = folder_of(settings)
    root.mkdir(exist_ok=True)
    with duckdb_file.exclusive(root / "lock", settings.lock_timeout_seconds):
        folder = root / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield settings.model_copy(update={"home": folder})
        finally:
            if keep is not None:
                folder.rename(keep)
            else:
                shutil.rmtree(folder, ignore_errors=True)


def folder_of(settings: OrchestrationSettings) -> Path:
    """Where trials are made: `scratch`, dbt's parsed projects, and what was kept."""
    return settings.home / "whatif"


def copy_events(production: OrchestrationSettings, scratch: OrchestrationSettings, window: Window) -> int:
    """Copy every event of the calls whose first was received in the window, holding the warehouse; how many calls.

    Costs what the window holds, and a look at the narrow columns of what is older. Raises WarehouseBusy.
    """
    with duckdb_file.reading(production):
        if not production.warehouse.exists():
            return 0
        return duckdb_file.with_enough_memory(production, lambda roomy: _copied(roomy, scratch, window))


def _copied(production: OrchestrationSettings, scratch: OrchestrationSettings, window: Window) -> int:
    since, until = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (window.since, window.until))
    with duckdb.connect(str(scratch.warehouse), config=duckdb_file.duckdb_config(production)) as connection:
        connection.execute(
            f"attach '{str(production.warehouse).replace(chr(39), chr(39) * 2)}' as production (read_only)"
        )
        connection.execute(f"create schema if not exists {duckdb_file.RAW}")
        tables = _names(connection, "production", duckdb_file.RAW)
        if "call_events" not in tables:
            return 0
        connection.execute(_CHOSEN, {"since": since, "until": until})
        connection.execute(_BEGUN_EARLIER, {"since": since})
        connection.execute(_THEIR_EVENTS, {"since": since})
        # the other sources: there, so that any model can be built, and empty, since no rule about calls reads them
        for table in tables:
            if table != "call_events" and not table.startswith("_dlt"):
                name = f'{duckdb_file.RAW}."{table}"'
                connection.execute(f"create or replace table {name} as from production.{name} limit 0")
        counted = connection.execute("select count(*) from chosen").fetchone()
    return int(counted[0]) if counted else 0


def keep_side(scratch: OrchestrationSettings, side: str) -> None:
    """Copy what dbt built, calls and what is due, into the schema `side`; drop the rest but the events.

    Of nested columns (transcripts) only a hash: that they differ is told, not how.
    """
    duckdb_file.with_enough_memory(scratch, lambda roomy: _kept(roomy, side))


def _kept(scratch: OrchestrationSettings, side: str) -> None:
    with duckdb_file.connect(scratch, read_only=False) as connection:
        connection.execute(f"create schema if not exists {side}")
        connection.execute(f'create or replace table {side}."{CALLS}" as {_calls(connection, scratch)}')
        for name in _names(connection, scratch.warehouse.stem, _SYNC):
            model = f'{_SYNC}."{name}"'
            columns = ", ".join(_kept_columns(connection, model).values())
            connection.execute(f'create or replace table {side}."{name}" as select {columns} from {model}')  # noqa: S608
        schemas = connection.execute(
            "select schema_name from duckdb_schemas() where not internal and database_name = current_database()"
        ).fetchall()
        for (schema,) in schemas:
            if schema not in (duckdb_file.RAW, "main", CONFIGURED, PROPOSED):
                connection.execute(f'drop schema "{schema}" cascade')


def _calls(connection: duckdb.DuckDBPyConnection, scratch: OrchestrationSettings) -> str:
    """The query of all that is known of each call; an edited project may lack all models but the first."""
    built = set(_names(connection, scratch.warehouse.stem, _INTERMEDIATE))
    first, *others = (f"{_INTERMEDIATE}.{model}" for model in OF_CALLS if model in built)
    columns: dict[str, str] = {}
    for model in (first, *others):
        columns = _kept_columns(connection, model) | columns
    joins = " ".join(f"left join {model} on {first}.call_key = {model}.call_key" for model in others)
    return f"select {', '.join(columns.values())} from {first} {joins}"  # noqa: S608


def _kept_columns(connection: duckdb.DuckDBPyConnection, model: str) -> dict[str, str]:
    """The SQL of each column of a model, by its name."""
    return {
        column: f'hash({model}."{column}") as "{column}"'
        if "(" in kind or kind.endswith("[]")
        else f'{model}."{column}"'
        for column, kind, *_ in connection.execute(f"describe {model}").fetchall()
    }


def _names(connection: duckdb.DuckDBPyConnection, database: str, schema: str) -> list[str]:
    rows = connection.execute(
        "select table_name from duckdb_tables() where database_name = $1 and schema_name = $2 "
        "union all select view_name from duckdb_views() where database_name = $1 and schema_name = $2 order by 1",
        [database, schema],
    )
    return [name for (name,) in rows.fetchall()]
