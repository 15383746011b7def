"""Which warehouse a URL names, and that callers see the warehouse's errors and never the engine's."""

from pathlib import Path

import pytest

from orchestration.config import OrchestrationSettings
from orchestration.tools.whatif import scratch as trials
from orchestration.warehouse import (
    LandingMarks,
    NotPublished,
    QueryFailed,
    RelationMissing,
    UnknownWarehouse,
    WarehouseBusy,
    WarehouseError,
    open_warehouse,
    scratch,
)
from orchestration.warehouse.copy_files import PublishedFile, Watermarks
from tests.warehouse_files import published_file, warehouse_file


def test_without_a_url_it_is_the_file_of_the_home(tmp_path: Path) -> None:
    settings = OrchestrationSettings(home=tmp_path)
    assert warehouse_file(settings) == tmp_path / "warehouse.duckdb"
    assert published_file(settings) == tmp_path / "published" / "marts.duckdb"
    assert not open_warehouse(settings).exists()
    assert open_warehouse(settings).version() is None
    assert list(tmp_path.iterdir()) == []


def test_a_url_leads_elsewhere_with_its_lock(tmp_path: Path) -> None:
    elsewhere = tmp_path / "a folder" / "w.duckdb"
    settings = OrchestrationSettings(home=tmp_path / "home", warehouse_url=f"duckdb://{elsewhere}")
    warehouse = open_warehouse(settings)
    with warehouse.writing(), warehouse.connect(read_only=False) as connection:
        connection.execute("create table t as select 1 as one")
    assert sorted(path.name for path in elsewhere.parent.iterdir()) == ["w.duckdb", "w.lock", "w.number"]
    assert warehouse.dbt_environment() == {"AFTERCALL_WAREHOUSE_URL": f"duckdb://{elsewhere}"}
    impatient = settings.model_copy(update={"lock_timeout_seconds": 0.01})
    with warehouse.reading(), pytest.raises(WarehouseBusy), open_warehouse(impatient).reading():
        pass


@pytest.mark.parametrize("url", ["spark://host", "ducklake:postgresql://a:secret@host/db", "nonsense"])
def test_an_unknown_scheme_names_those_that_are_known_and_no_password(url: str) -> None:
    with pytest.raises(UnknownWarehouse, match=r"supported: duckdb:///path/to/file\.duckdb") as caught:
        open_warehouse(OrchestrationSettings(warehouse_url=url))
    assert "secret" not in str(caught.value)


def test_a_relative_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownWarehouse, match="absolute path"):
        open_warehouse(OrchestrationSettings(warehouse_url="duckdb://warehouse.duckdb"))


def test_a_trial_never_leads_to_the_real_warehouse(tmp_path: Path) -> None:
    real = tmp_path / "w.duckdb"
    settings = OrchestrationSettings(home=tmp_path / "home", warehouse_url=f"duckdb://{real}")
    settings.home.mkdir()
    with trials.scratch(settings) as trial:
        assert warehouse_file(trial) == trial.home / "warehouse.duckdb"
        assert trial.home.is_relative_to(settings.home)
    assert warehouse_file(scratch.scratch_settings(settings, tmp_path / "other")) != real


def test_callers_see_the_errors_of_the_warehouse(tmp_path: Path) -> None:
    settings = OrchestrationSettings(home=tmp_path)
    warehouse = open_warehouse(settings)
    with pytest.raises(WarehouseError), warehouse.connect():
        pass
    with pytest.raises(NotPublished, match="next pass"), warehouse.published.connect():
        pass
    with warehouse.connect(read_only=False) as connection:
        for ask in (
            connection.rows,
            connection.records,
            connection.value,
            connection.frame,
            connection.arrow,
        ):
            with pytest.raises(RelationMissing, match="nowhere"):
                ask("select * from nowhere")
            with pytest.raises(QueryFailed, match="Conversion"):
                ask("select 'x'::int")
        with pytest.raises(QueryFailed):
            connection.execute("select")
        assert connection.value("select 1 where false") is None
        assert connection.records("select 1 as a, 'x' as b where $yes", {"yes": True}) == [{"a": 1, "b": "x"}]


def test_a_copy_says_how_far_it_goes_in_the_landing_store(tmp_path: Path) -> None:
    published = PublishedFile(tmp_path / "marts.duckdb")
    assert published.marks() is None
    landing = LandingMarks({"2026-11-02/08/a.ndjson": 12}, "2026-11-01/23/b.ndjson")
    for marks in (landing, None):
        published.fresh().write_bytes(b"a copy" if marks else b"another copy")
        fresh = tmp_path / "marts.duckdb.new"
        published.put_in_place(fresh, Watermarks("p", 1, "a", "b", "c"), "version", marks)
        assert published.marks() == marks
        assert published.warehouse_version() == "version"
    published.forget_base()
    assert published.marks() is None
