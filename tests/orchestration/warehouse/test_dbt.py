"""What was built whole is remembered in the warehouse, by the version of the project; real dbt, one seed."""

import os
import shutil
from pathlib import Path

import pytest

from orchestration.config import DBT_PROJECT, OrchestrationSettings
from orchestration.warehouse import dbt, open_warehouse

ONE_SEED = ["--select", "queues"]


@pytest.fixture
def settings(tmp_path: Path) -> OrchestrationSettings:
    return OrchestrationSettings(home=tmp_path / "home")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project that a test may change."""
    copy = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(dbt, "DBT_PROJECT", copy)
    return copy


def test_a_part_counts_as_built_until_the_project_changes(
    settings: OrchestrationSettings, project: Path
) -> None:
    assert not dbt.is_built(settings, "models")
    dbt.build_all(settings, "models", ONE_SEED)
    assert dbt.is_built(settings, "models")
    assert dbt.is_full_build_recorded(settings, "models")
    assert not dbt.is_built(settings, "outcomes")
    with (project / "seeds" / "queues.csv").open("a") as seed:
        seed.write("returns,returns\n")
    assert not dbt.is_built(settings, "models")
    assert not dbt.is_full_build_recorded(settings, "models")
    dbt.build_all(settings, "models", ONE_SEED)
    assert dbt.is_built(settings, "models")


def test_the_country_of_numbers_is_the_setting_s(
    settings: OrchestrationSettings, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dbt.project_version()
    # dbt reads no .env file
    monkeypatch.delenv("AFTERCALL_PHONE_REGION", raising=False)
    monkeypatch.chdir(project.parent)
    (project.parent / ".env").write_text("AFTERCALL_PHONE_REGION=de\n")
    assert dbt.project_version() != before
    (project / "models" / "region.sql").write_text(
        "select '{{ phone_rules().country_code }}' as country_code"
    )
    (project / "models" / "exported.sql").write_text(
        "select '{{ env_var(\"AFTERCALL_PHONE_REGION\") }}' as region"
    )
    dbt.build(settings, ["--select", "phone_regions", "region", "exported"])
    with open_warehouse(settings).connect() as connection:
        assert connection.rows("select * from exported, region") == [("de", "49")]
    assert "AFTERCALL_PHONE_REGION" not in os.environ


def test_what_a_build_leaves_behind_is_no_change(settings: OrchestrationSettings, project: Path) -> None:
    before = dbt.project_version()
    for folder in ("target", "logs"):
        (project / folder).mkdir()
        (project / folder / "some.sql").write_text("select 1")
    assert dbt.project_version() == before


def test_a_build_that_failed_is_not_remembered(settings: OrchestrationSettings, project: Path) -> None:
    (project / "seeds" / "queues.csv").write_text("issue_type,queue\ngeneral,support\ngeneral,support\n")
    with pytest.raises(dbt.BuildFailed, match="unique_queues"):
        dbt.build_all(settings, "models", ONE_SEED)
    assert not dbt.is_built(settings, "models")


def test_a_changed_project_has_another_manifest(settings: OrchestrationSettings, project: Path) -> None:
    first = dbt.ensure_manifest(settings)
    assert dbt.ensure_manifest(settings) == first
    dbt.build(settings, ONE_SEED)
    assert not (settings.dbt_target / "partial_parse.msgpack").exists(), "dbt parsed the project itself"
    (project / "models" / "marts" / "agents.sql").open("a").write("\n")
    dbt.build(settings, ONE_SEED)
    assert (settings.dbt_target / "partial_parse.msgpack").exists(), "dbt took an old parse"
    second = dbt.ensure_manifest(settings)
    assert second != first
    assert second.exists()
    assert not first.exists()
