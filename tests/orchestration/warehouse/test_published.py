"""The published copy: how often it is made, what it says, its Parquet files; real clients that read it meanwhile."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import orjson
import pytest
import yaml  # type: ignore[import-untyped]

from orchestration.config import DBT_PROJECT, OrchestrationSettings
from orchestration.warehouse import copy_files, dbt, duckdb_file, parquet, publish
from tests.conftest import Installation, free_port
from tests.dagster_ui import wait_until

DUCKDB_CLI = Path(sys.executable).with_name("duckdb")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, land: Any) -> Installation:
    """Six simulated calls after one pass."""
    made = Installation(tmp_path_factory.mktemp("published") / "home", free_port())
    land(made.home, calls=6)
    made.built().aftercall("run")
    return made


@pytest.fixture
def settings(built: Installation, monkeypatch: pytest.MonkeyPatch) -> OrchestrationSettings:
    monkeypatch.setenv("AFTERCALL_HOME", str(built.home))
    return OrchestrationSettings()


def aged(settings: OrchestrationSettings, seconds: float) -> None:
    """As if the last copy had been published so long ago."""
    note = settings.published.with_name("copied.json")
    entries = orjson.loads(note.read_bytes())
    for entry in entries.values():
        entry["seconds"] = time.monotonic() - seconds
    note.write_bytes(orjson.dumps(entries))


def restart_the_machine(settings: OrchestrationSettings) -> None:
    note = settings.published.with_name("copied.json")
    entries = orjson.loads(note.read_bytes())
    for entry in entries.values():
        entry |= {"boot": "another", "seconds": time.monotonic() + 1e6}
    note.write_bytes(orjson.dumps(entries))


def change(settings: OrchestrationSettings) -> None:
    """Hold the warehouse to change it, as each load and build does."""
    with duckdb_file.writing(settings):
        pass


def test_a_copy_waits_until_the_last_one_is_old_enough(settings: OrchestrationSettings) -> None:
    publish.publish(settings)
    aged(settings, 10)
    assert 19 < publish.wait_seconds(settings) <= 20
    aged(settings, 31)
    assert publish.wait_seconds(settings) == 0
    aged(settings, 0)
    restart_the_machine(settings)
    assert publish.wait_seconds(settings) == 0


@pytest.mark.parametrize("days", [-1 / 24, 1 / 24, 365, -365])
def test_no_clock_decides_what_is_published(settings: OrchestrationSettings, days: float) -> None:
    """The files may be of any time, as after a copy from another machine, or the clock set to any."""
    publish.publish(settings)
    there = settings.published.stat().st_mtime + days * 86_400
    os.utime(settings.published, (there, there))
    assert not publish.is_behind(settings)
    change(settings)
    assert publish.is_behind(settings)
    aged(settings, 12)
    assert 0 < publish.wait_seconds(settings) <= settings.publish_every_seconds - 12
    publish.publish(settings)
    assert not publish.is_behind(settings)


def test_a_copy_from_elsewhere_is_published_over_at_once(settings: OrchestrationSettings) -> None:
    publish.publish(settings)
    beside = settings.published.with_name("beside")
    beside.write_bytes(settings.published.read_bytes())
    beside.replace(settings.published)
    future = time.time() + 3_600
    os.utime(settings.published, (future, future))
    assert publish.is_behind(settings)
    assert publish.wait_seconds(settings) == 0


def test_a_complete_build_after_the_clock_was_set_back_is_published_and_acted_on(
    settings: OrchestrationSettings,
) -> None:
    """The copy, and who fills the outbox, remember a build of a year ahead."""
    from orchestration.defs.assets.models import LEAN, MODELS, OUTCOMES

    tables = ("int_calls_merged", "int_calls_interpreted", "int_calls_measured", "int_due_actions")
    with duckdb_file.writing(settings), duckdb_file.connect(settings, read_only=False) as connection:
        for table in tables:
            connection.execute(f"update intermediate.{table} set built_at = built_at + interval 365 days")
        remembered = connection.execute("select max(built_at) from intermediate.int_due_actions").fetchall()
    publish.publish(settings)
    dbt.build_all(settings, MODELS, ["--exclude", OUTCOMES, LEAN, "--full-refresh"])
    with duckdb_file.reading(settings), duckdb_file.connect(settings) as connection:
        for table in tables:
            newest = connection.execute(f"select min(built_at) from intermediate.{table}").fetchall()
            assert newest > remembered, table
    assert publish.is_behind(settings)
    assert publish.publish(settings).renewed is None
    assert publish.publish(settings).renewed == 0


def test_it_is_behind_when_the_warehouse_was_written_since(settings: OrchestrationSettings) -> None:
    publish.publish(settings)
    assert not publish.is_behind(settings)
    with duckdb_file.reading(settings), duckdb_file.connect(settings) as connection:
        assert connection.execute("select count(*) from marts.calls").fetchall()[0][0] > 0
    assert not publish.is_behind(settings)
    with duckdb.connect(str(settings.warehouse)) as connection:  # by hand, beside all that counts
        connection.execute("create or replace table by_hand as select 1 as one")
    assert publish.is_behind(settings)
    publish.publish(settings)
    change(settings)
    assert publish.is_behind(settings)
    nowhere = settings.model_copy(update={"home": settings.home / "new"})
    assert not publish.is_behind(nowhere)
    assert publish.wait_seconds(nowhere) == 0


@pytest.fixture
def instance(settings: OrchestrationSettings) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def test_a_pass_leaves_a_fresh_copy_and_the_sensor_makes_up_for_it(
    settings: OrchestrationSettings, instance: dg.DagsterInstance
) -> None:
    from orchestration.defs.assets.published import SPARING_TAG, published
    from orchestration.defs.resources import Aftercall
    from orchestration.defs.sensors import published_sensor

    def copied(**tags: str) -> bool:
        before = settings.published.stat().st_ino
        dg.materialize(
            [published],
            resources={"aftercall": Aftercall()},
            instance=instance,
            tags=tags,
            selection=[published],
        )
        return settings.published.stat().st_ino != before

    def look() -> Any:
        with dg.build_sensor_context(instance=instance, resources={"aftercall": Aftercall()}) as context:
            return published_sensor(context)

    assert copied()
    assert isinstance(look(), dg.SkipReason)
    aged(settings, 5)
    assert not copied(**{SPARING_TAG: "yes"})
    assert copied(**{SPARING_TAG: "no"})
    aged(settings, 5)
    change(settings)
    assert "the last copy is fresh" in look().skip_message
    aged(settings, 31)
    assert isinstance(look(), dg.RunRequest)
    assert copied(**{SPARING_TAG: "yes"})


def said(event: dg.AssetMaterialization) -> dict[str, Any]:
    return {name: one.value for name, one in event.metadata.items()}


def test_every_materialisation_of_a_pass_says_what_it_did(
    built: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(built.home / "dagster"))
    with dg.DagsterInstance.get() as instance:
        found = [instance.get_latest_materialization_event(key) for key in instance.all_asset_keys()]
    made = [one.asset_materialization for one in found if one and one.asset_materialization]
    shown = {one.asset_key: said(one) for one in made if one.partition is None}
    assert {"raw", "marts", "sync", "staging", "outbox", "published"} <= {key.path[0] for key in shown}
    for key, one in shown.items():
        assert "dagster/row_count" in one, key
        assert key.path[0] == "marts" or {"seconds", "lag_seconds"} <= one.keys(), key


def test_nobodys_number_or_address_is_in_the_event_log(built: Installation) -> None:
    people = built.mart("select customer_phone from calls where customer_phone is not null")
    people += built.mart("select customer_email from customers where customer_email is not null")
    assert len(people) > 5
    stored = b"".join(path.read_bytes() for path in (built.home / "dagster").rglob("*") if path.is_file())
    assert b"call_events" in stored
    assert [person for (person,) in people if str(person).encode() in stored] == []


def test_a_mart_has_as_many_rows_in_dagster_as_in_the_copy_just_made(
    settings: OrchestrationSettings, instance: dg.DagsterInstance, built: Installation
) -> None:
    """Not as many as in the copy before; and nothing is written of a mart whose count is the same."""
    from orchestration.defs.assets.published import published
    from orchestration.defs.resources import Aftercall

    def publish_now() -> dict[str, int]:
        result = dg.materialize(
            [published], resources={"aftercall": Aftercall()}, instance=instance, selection=[published]
        )
        made = [
            event.step_materialization_data.materialization
            for event in result.filter_events(lambda event: event.is_step_materialization)
        ]
        return {
            one.asset_key.path[-1]: one.metadata["dagster/row_count"].value  # type: ignore[misc]
            for one in made
            if one.asset_key.path[0] == "marts"
        }

    assert publish_now()["calls"] == built.mart("select count(*) from calls")[0][0]
    assert publish_now() == {}
    with duckdb_file.writing(settings), duckdb_file.connect(settings, read_only=False) as connection:
        connection.execute(
            "insert into raw.outbox_actions by name select * replace ('extra' as action_key, "
            "(select max(loaded_at) + interval 1 minute from raw.outbox_actions) as loaded_at) "
            "from raw.outbox_actions limit 1"
        )
    shown = publish_now()
    assert shown["actions"] == built.mart("select count(*) from actions")[0][0]
    with duckdb_file.writing(settings), duckdb_file.connect(settings, read_only=False) as connection:
        connection.execute("delete from raw.outbox_actions where action_key = 'extra'")
    copy_files.forget(settings)  # no load takes an action away
    assert publish_now() == {"actions": shown["actions"] - 1}


def test_every_table_and_column_says_what_dbt_says_of_it(built: Installation) -> None:
    files = sorted((DBT_PROJECT / "models" / "marts").glob("*.yml"))
    described = [model for file in files for model in yaml.safe_load(file.read_text()).get("models", [])]
    tables = {
        str(row[0]): str(row[1]) for row in built.mart("select table_name, comment from duckdb_tables()")
    }
    columns = built.mart("select table_name, column_name, comment from duckdb_columns() where not internal")
    assert set(tables) == {model["name"] for model in described}
    for model in described:
        assert " ".join(model["description"].split()) == " ".join(tables[model["name"]].split())
    assert {(table, column) for table, column, _ in columns} == {
        (model["name"], column["name"]) for model in described for column in model["columns"]
    }
    assert [row for row in columns if not row[2] or "{{" in str(row[2])] == []


def test_parquet_holds_the_same_rows_a_file_a_day(
    settings: OrchestrationSettings, built: Installation
) -> None:
    written = parquet.export(settings)
    for mart in publish.publish(settings).rows:
        files = [str(path) for path in (settings.parquet / mart).glob("*.parquet")]
        with duckdb.connect() as connection:
            query = "select * from read_parquet($1) order by all"
            exported = connection.execute(query, [files]).fetchall() if files else []
        assert exported == built.mart(f"select * from {mart} order by all"), mart
    days = {str(day) for (day,) in built.mart("select distinct call_date from calls")}
    assert {path.stem for path in written if path.parent.name == "call_turns"} == days
    whole = {path.parent.name for path in written if path.stem == "all"}
    assert whole == {"agents", "customers"}
    for mart, column in (("after_call_work_daily", "due_date"), ("scorecard_weekly", "period_start")):
        days = {str(day) for (day,) in built.mart(f"select distinct {column} from {mart}")}
        assert {path.stem for path in written if path.parent.name == mart} == days
    assert parquet.export(settings) == []


def test_parquet_follows_a_call_to_another_day(settings: OrchestrationSettings, tmp_path: Path) -> None:
    mine = settings.model_copy(update={"home": tmp_path})
    mine.published.parent.mkdir(parents=True)
    mine.published.write_bytes(settings.published.read_bytes())
    parquet.export(mine)
    whole = sorted(mine.parquet.glob("calls/*.parquet"))
    with duckdb.connect(str(mine.published)) as connection:
        connection.execute("update calls set call_date = date '2031-01-01'")
    written = parquet.export(mine)
    assert {path.parent.name for path in written} >= {"calls", "call_turns"}
    assert [path.stem for path in mine.parquet.glob("calls/*.parquet")] == ["2031-01-01"]
    assert not any(path.exists() for path in whole)
    (mine.parquet / "exported.json").write_text("torn")
    assert len(parquet.export(mine)) == len(list(mine.parquet.glob("*/*.parquet")))


# each in a process of its own, as tools are; DuckDB shares a file among the connections of one process
CLIENTS = {
    "sqlalchemy": """
import sqlalchemy as sa
engine = sa.create_engine(f"duckdb:///{path}", connect_args={"read_only": True}, poolclass=sa.NullPool)
def ask():
    with engine.connect() as connection:
        assert "calls" in sa.inspect(connection).get_table_names()
        return connection.execute(sa.text("select count(*) from calls")).scalar_one()
""",
    "pandas": """
import duckdb
def ask():
    with duckdb.connect(path, read_only=True) as connection:
        return len(connection.execute("select * from marts.calls").df())
""",
    "command line": """
import subprocess
def ask():
    query = "select count(*) from calls"
    asked = [cli, "-readonly", "-csv", "-noheader", path, query]
    return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
""",
}
READ_ON = """
import sys, time
path, cli = sys.argv[1:]
{client}
while True:
    print(ask(), flush=True)
    time.sleep(0.2)
"""


def _wait_for(reader: subprocess.Popen[bytes], said: Path, count: int) -> None:
    def has_seen_it() -> bool:
        assert reader.poll() is None, said.read_text()
        return str(count) in said.read_text().split()

    wait_until(has_seen_it, f"{said.name} sees {count} calls")


def test_clients_read_on_while_passes_load_and_publish(
    built: Installation, land: Any, tmp_path: Path
) -> None:
    """No client fails, each sees a count that only grows, and the passes are not held up by any."""
    path = built.home / "published" / "marts.duckdb"
    before = int(str(built.mart("select count(*) from calls")[0][0]))
    readers = {}
    for name, client in CLIENTS.items():
        program = [sys.executable, "-c", READ_ON.format(client=client), str(path), str(DUCKDB_CLI)]
        with (tmp_path / name).open("wb") as said:
            readers[name] = subprocess.Popen(program, stdout=said, stderr=said)
    try:
        for seed in (11, 12):
            land(built.home, calls=5, seed=seed)
            built.aftercall("run")
        after = int(str(built.mart("select count(*) from calls")[0][0]))
        assert after > before
        for name, reader in readers.items():
            _wait_for(reader, tmp_path / name, after)
    finally:
        for reader in readers.values():
            reader.kill()
            reader.wait()
    for name in readers:
        counts = [int(count) for count in (tmp_path / name).read_text().splitlines()]
        assert counts == sorted(counts), name
        assert set(counts) <= set(range(before, after + 1))
