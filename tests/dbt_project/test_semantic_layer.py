"""The semantic layer, asked by MetricFlow itself: it is valid, and answers what the scorecard says."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Warehouse

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
BIN = Path(sys.executable).parent
PERIODS = {"daily": "metric_time__day", "weekly": "metric_time__week"}
SHARED = (
    "call_count", "answered_call_count", "abandoned_call_count", "unreached_call_count", "resolved_call_count",
    "first_contact_count", "first_call_resolved_count", "contained_call_count", "transfer_request_count",
    "rated_call_count", "satisfaction_sum", "answer_rate", "no_answer_rate", "abandonment_rate",
    "average_handle_seconds", "resolution_rate", "first_call_resolution_rate", "containment_rate", "transfer_rate",
    "csat", "average_satisfaction",
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, awkward: "Warehouse") -> Path:
    """A copy of the project as MetricFlow wants it: with its artifacts inside."""
    folder = tmp_path_factory.mktemp("semantic") / "dbt_project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs"))
    run(folder, awkward, "dbt", "--quiet", "parse")
    return folder


def run(folder: Path, warehouse: "Warehouse", program: str, *arguments: str) -> str:
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=folder,
        env={**os.environ, "AFTERCALL_HOME": str(warehouse.home), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_model_dimension_and_metric_can_be_asked(project: Path, awkward: "Warehouse") -> None:
    said = run(project, awkward, "mf", "validate-configs")
    assert "validated metrics against data warehouse (ERRORS: 0" in said


@pytest.mark.parametrize("period", PERIODS)
def test_it_answers_what_the_scorecard_says(
    project: Path, awkward: "Warehouse", tmp_path: Path, period: str
) -> None:
    manifest = json.loads((project / "target" / "manifest.json").read_text(encoding="utf-8"))
    assert set(SHARED) <= {metric["name"] for metric in manifest["metrics"].values()}
    answer = tmp_path / "answer.csv"
    by = PERIODS[period]
    run(
        project, awkward, "mf", "query", "--metrics", ",".join(SHARED), "--group-by", by, "--csv", str(answer)
    )
    with answer.open(encoding="utf-8") as file:
        told = {row[by][:10]: row for row in csv.DictReader(file) if row["call_count"] not in ("", "0")}
    query = f"select * from marts.scorecard_{period} where dimension = 'all' and call_count > 0"
    wanted = {str(row["period_start"]): row for row in awkward.rows(query)}
    assert told.keys() == wanted.keys()
    for day, row in wanted.items():
        for name in SHARED:
            if row[name] is None:
                assert told[day][name] in ("", "nan", "None"), (day, name)
            else:
                assert float(told[day][name]) == pytest.approx(row[name], rel=1e-6), (day, name)
