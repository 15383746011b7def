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
import pytest
import yaml  # type: ignore[import-untyped]

from orchestration import parquet, publish
from orchestration.config import DBT_PROJECT, OrchestrationSettings
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


def aged(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_copy_waits_until_the_last_one_is_old_enough(settings: OrchestrationSettings) -> None:
    aged(settings.published, 10)
    assert 19 < publish.wait_seconds(settings) <= 20
    aged(settings.published, 31)
    assert publish.wait_seconds(settings) == 0
    aged(settings.published, -3600)  # the clock was set back
    assert publish.wait_seconds(settings) <= settings.publish_every_seconds


def test_it_is_behind_when_the_warehouse_was_written_since(settings: OrchestrationSettings) -> None:
    publish.publish(settings)
    assert not publish.is_behind(settings)
    aged(settings.published, 60)
    aged(settings.warehouse, 30)
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
    from orchestration.assets.published import SPARING_TAG, published
    from orchestration.resources import Aftercall
    from orchestration.sensors import published_sensor

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
        context = dg.build_sensor_context(instance=instance, resources={"aftercall": Aftercall()})
        return published_sensor(context)

    assert copied()
    assert isinstance(look(), dg.SkipReason)
    aged(settings.published, 5)
    assert not copied(**{SPARING_TAG: "yes"})
    assert copied(**{SPARING_TAG: "no"})
    aged(settings.published, 5)
    settings.warehouse.touch()
    assert "the last copy is fresh" in look().skip_message
    aged(settings.published, 31)
    assert isinstance(look(), dg.RunRequest)
    assert copied(**{SPARING_TAG: "yes"})


def said(event: dg.AssetMaterialization) -> dict[str, Any]:
    return {name: one.value for name, one in event.metadata.items()}


def test_every_materialisation_of_a_pass_says_what_it_did(built: Installation) -> None:
    with dg.DagsterInstance.from_config(str(built.home / "dagster")) as instance:
        found = [instance.get_latest_materialization_event(key) for key in instance.all_asset_keys()]
    made = [one.asset_materialization for one in found if one and one.asset_materialization]
    told = {one.asset_key: said(one) for one in made if one.partition is None}
    assert {"raw", "marts", "sync", "staging", "outbox", "published"} <= {key.path[0] for key in told}
    for key, one in told.items():
        assert {"seconds", "lag_seconds"} <= one.keys(), key
        assert {"dagster/row_count", "preview"} <= one.keys() or "not counted" in one["rows"], key


def test_a_view_shows_the_rows_of_the_last_copy(
    settings: OrchestrationSettings, instance: dg.DagsterInstance, built: Installation
) -> None:
    from orchestration.assets.models import outcomes
    from orchestration.resources import Aftercall

    def materialised() -> dict[str, dict[str, Any]]:
        result = dg.materialize([outcomes], resources={"aftercall": Aftercall()}, instance=instance)
        made = [
            event.step_materialization_data.materialization
            for event in result.get_asset_materialization_events()
        ]
        return {one.asset_key.path[-1]: said(one) for one in made}

    publish.publish(settings)
    shown = materialised()
    assert shown["actions"]["dagster/row_count"] == built.mart("select count(*) from actions")[0][0]
    keys = {record.data["action_key"] for record in shown["actions"]["preview"].records}
    assert len(keys) == 5
    assert keys <= {key for (key,) in built.mart("select action_key from actions")}
    assert shown["actions"]["counted_at"] == pytest.approx(settings.published.stat().st_mtime)
    assert "not counted" in shown["stg_outbox__actions"]["rows"]
    settings.published.write_bytes(b"no database")
    assert "not counted" in materialised()["actions"]["rows"]
    publish.publish(settings)


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
