"""Writing the file that is to be published: every mart as a table, or the last copy with what changed since.

A copy of everything costs as much as the history is long. So a mart may declare in dbt that a row changes only with
its own call, day or customer (`meta: {copied_by: call}`). Of such a mart only the rows of what changed are written, as
long as it can be told what was copied last. Every other mart is written whole: a window function may change any row.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import orjson

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import copy_files, dbt, duckdb_file
from orchestration.warehouse.copy_files import Watermarks

LOG = logging.getLogger("aftercall.publish")
SCHEMA = "marts"
COPIED_BY = "copied_by"
"""Name of the declaration in a mart's `meta`; its values are the keys of `COLUMNS`."""
COLUMNS = {"call": "call_key", "day": "call_date", "customer": "customer_phone"}
"""By which column the rows of a mart with this declaration are told."""
MOST_RENEWED = 0.1
"""Share of the calls above which everything is copied: then that is faster."""
MOST_CUSTOMERS = 5_000
"""Of more, all are written."""


@dataclass(frozen=True)
class MadeCopy:
    """Rows by mart, when the newest event in it arrived (UTC), the calls renewed (None: all), and how far it goes."""

    rows: dict[str, int]
    newest: datetime | None
    renewed: int | None
    marks: Watermarks


@dataclass(frozen=True)
class _Mart:
    name: str
    comment: str | None
    columns: tuple[tuple[str, str, str | None], ...]

    def changed(self, declared: str | None, customers: str) -> list[str]:
        """Which of its rows have to be written anew, as SQL. Rows of no call (an alert's action) are few.

        Each condition by itself: DuckDB makes one a join that skips what it need not read, but not an `or`.
        """
        if declared is None:
            return ["true"]
        if COLUMNS.get(declared) not in {name for name, _, _ in self.columns}:
            LOG.warning(
                "The mart %s is copied whole: %s is %r, which needs one of the columns %s.",
                self.name,
                COPIED_BY,
                declared,
                COLUMNS,
            )
            return ["true"]
        return {
            "call": ["call_key is null", "call_key in (from touched)"],
            "day": ["call_date in (from touched_days)"],
            "customer": [customers],
        }[declared]

    @property
    def shape(self) -> list[tuple[str, str]]:
        return [(name, kind) for name, kind, _ in self.columns]


def make(settings: OrchestrationSettings, fresh: Path) -> MadeCopy:
    """Write the file. Call inside `warehouse.writing`."""
    copy_files.clear(fresh)
    with duckdb.connect(config=duckdb_file.duckdb_config(settings)) as connection:
        connection.execute(f"attach '{_quoted(str(settings.warehouse))}' as warehouse (read_only)")
        marks = _marks(connection)
        base, renewed = copy_files.base(settings, marks), None
        if base and _find_touched(connection, base[1]):
            copy_files.take(settings, base[0], fresh)
            renewed = 0
        connection.execute(f"attach '{_quoted(str(fresh))}' as fresh")
        marts = _marts(connection, "warehouse", SCHEMA)
        standing = {mart.name: mart for mart in _marts(connection, "fresh", "main")}
        for name in standing.keys() - {mart.name for mart in marts}:
            connection.execute(f'drop table fresh."{name}"')
        customers, declared = "true", dict[str, str]()
        if renewed is not None:
            declared = _declared(settings)
            _find_left(connection)
            renewed, customers = _count(connection, "touched"), _touched_customers(connection)
        for mart in marts:
            there = standing.get(mart.name)
            if there is None or there.shape != mart.shape:
                _create(connection, mart)
            else:
                _renew(connection, mart, mart.changed(declared.get(mart.name), customers))
        rows = {mart.name: _count(connection, f'fresh."{mart.name}"') for mart in marts}
        newest = connection.execute("select max(updated_at) from fresh.calls").fetchone()
        connection.execute("detach fresh")
    arrived = newest[0].replace(tzinfo=UTC) if newest and newest[0] else None
    return MadeCopy(rows, arrived, renewed, marks)


def _marks(connection: duckdb.DuckDBPyConnection) -> Watermarks:
    found = connection.execute(
        """select
            (select coalesce(max(built_at), '-infinity') from warehouse.intermediate.int_calls_measured)::varchar,
            (select coalesce(max(judged_through), '-infinity')
                from warehouse.intermediate.int_calls_repeats_marked)::varchar,
            (select coalesce(max(loaded_at), '-infinity') from warehouse.staging.stg_outbox__actions)::varchar"""
    ).fetchone()
    return Watermarks(dbt.project_version(), dbt.completed(connection, "warehouse"), *(found or ()))


def _find_touched(connection: duckdb.DuckDBPyConnection, before: Watermarks) -> bool:
    """Note the calls that changed since, by themselves or by an action; whether they are few."""
    connection.execute(
        """create temp table touched_actions as
        select action_key, call_key from warehouse.staging.stg_outbox__actions where loaded_at > $1::timestamp""",
        [before.actions_loaded_at],
    )
    connection.execute(
        """create temp table touched as
        select call_key from warehouse.intermediate.int_calls_measured where built_at > $1::timestamp
        union
        select call_key from warehouse.intermediate.int_calls_repeats_marked where judged_through > $2::timestamp
        union
        select call_key from touched_actions where call_key is not null""",
        [before.built_at, before.judged_through],
    )
    connection.execute(
        """create temp table touched_days as
        select distinct unnest(dates) as call_date from warehouse.intermediate.int_calls_measured
        where call_key in (from touched)"""
    )
    calls = _count(connection, "warehouse.intermediate.int_calls_measured")
    return _count(connection, "touched") <= max(MOST_RENEWED * calls, 1000)


def _find_left(connection: duckdb.DuckDBPyConnection) -> None:
    """Note the calls that an action was about in the last copy: a contact is about its customer's newest call."""
    connection.execute(
        """insert into touched
        select distinct call_key from fresh.actions
        where action_key in (select action_key from touched_actions)
            and call_key is not null and call_key not in (from touched)"""
    )


def _touched_customers(connection: duckdb.DuckDBPyConnection) -> str:
    """The customers of the calls that changed, now or in the last copy, as a condition on `customer_phone`.

    Spelled out: then DuckDB reads only the calls of these, which it does for no list that it has to look up.
    """
    phones = connection.execute(
        """select customer_phone from warehouse.intermediate.int_calls_interpreted where call_key in (from touched)
        union select customer_phone from fresh.calls where call_key in (from touched)"""
    ).fetchall()
    spelled = [f"'{_quoted(phone)}'" for (phone,) in phones if phone is not None]
    if len(spelled) > MOST_CUSTOMERS:
        return "true"
    return f"customer_phone in ({', '.join(spelled)})" if spelled else "false"


def _declared(settings: OrchestrationSettings) -> dict[str, str]:
    """What marts declare in dbt of how their rows change, by mart."""
    nodes = orjson.loads(dbt.ensure_manifest(settings).read_bytes())["nodes"].values()
    return {
        node["name"]: node["config"]["meta"][COPIED_BY]
        for node in nodes
        if node["resource_type"] == "model"
        and node["schema"] == SCHEMA
        and COPIED_BY in node["config"]["meta"]
    }


def _renew(connection: duckdb.DuckDBPyConnection, mart: _Mart, changed: list[str]) -> None:
    for rows in changed:
        connection.execute(f'delete from fresh."{mart.name}" where {rows}')  # noqa: S608 - our own names
        connection.execute(
            f'insert into fresh."{mart.name}" select * from warehouse.{SCHEMA}."{mart.name}" where {rows}'  # noqa: S608
        )


def _create(connection: duckdb.DuckDBPyConnection, mart: _Mart) -> None:
    name = f'fresh."{mart.name}"'
    connection.execute(f'create or replace table {name} as from warehouse.{SCHEMA}."{mart.name}"')
    if mart.comment:
        connection.execute(f"comment on table {name} is '{_quoted(mart.comment)}'")
    for column, _, comment in mart.columns:
        if comment:
            connection.execute(f"comment on column {name}.\"{column}\" is '{_quoted(comment)}'")


def _marts(connection: duckdb.DuckDBPyConnection, database: str, schema: str) -> list[_Mart]:
    """Every table and view of a schema with its columns, by name."""
    comments = connection.execute(
        "select table_name, comment from duckdb_tables() where database_name = $1 and schema_name = $2 union all "
        "select view_name, comment from duckdb_views() where database_name = $1 and schema_name = $2 order by 1",
        [database, schema],
    ).fetchall()
    columns = connection.execute(
        "select table_name, list((column_name, data_type, comment) order by column_index) from duckdb_columns() "
        "where database_name = $1 and schema_name = $2 group by 1",
        [database, schema],
    ).fetchall()
    of_table = {table: tuple(map(tuple, found)) for table, found in columns}
    return [_Mart(name, comment, of_table.get(name, ())) for name, comment in comments]


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    counted = connection.execute(f"select count(*) from {relation}").fetchone()  # noqa: S608 - our own names
    return int(counted[0]) if counted else 0


def _quoted(text: str) -> str:
    return text.replace("'", "''")
