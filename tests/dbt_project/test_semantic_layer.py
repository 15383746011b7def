"""The semantic layer, asked by MetricFlow itself: it is valid, and answers what the scorecard says."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Warehouse

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
BIN = Path(sys.executable).parent
MACROS = (PROJECT / "macros" / "metrics.sql").read_text(encoding="utf-8")
COUNTED, _, RATED = MACROS.partition("macro call_rates")
FLAGS = dict(re.findall(r'"(\w+)": "(\w+)"', COUNTED.partition("endmacro")[0]))
"""The boolean column that each count counts."""
RATES = re.findall(r'\(\s*"(\w+)",\s*"', RATED.partition("endmacro")[0])
OF_A_SCORECARD = {
    "caller_count": "counts customers, whose numbers stand in no semantic model",
    "repeat_caller_count": "counts customers, whose numbers stand in no semantic model",
    "repeat_caller_rate": "counts customers, whose numbers stand in no semantic model",
    "agent_talk_share": "of characters, which no mart shows",
    "average_agent_turns": "of transcripts: call_talk_metrics has each call's",
    "average_customer_turns": "of transcripts: call_talk_metrics has each call's",
    "average_silence_seconds": "of transcripts: call_talk_metrics has each call's",
    "max_pause_seconds": "of transcripts: call_talk_metrics has each call's",
    "call_count_week_before": "a count of another row; MetricFlow's own offset gives it",
    "csat_week_before": "a rate of another row; csat_change compares with it",
}
"""What only the scorecards show, and why."""
ASKED = {
    "daily": ("metric_time__day", "all"),
    "weekly": ("metric_time__week", "all"),
    "direction": ("metric_time__day,call__direction", "direction"),
}
"""What is grouped by, and the dimension of the scorecard that has the same rows."""


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
    output = run(project, awkward, "mf", "validate-configs")
    assert "validated metrics against data warehouse (ERRORS: 0" in output


@pytest.fixture(scope="module")
def manifest(project: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((project / "target" / "manifest.json").read_text(encoding="utf-8"))
    return loaded


def test_every_count_counts_the_flag_that_the_macros_count(manifest: dict[str, Any]) -> None:
    measures = {
        measure["name"]: measure["expr"]
        for model in manifest["semantic_models"].values()
        for measure in model["measures"]
    }
    assert len(FLAGS) > 25
    for name, flag in FLAGS.items():
        assert measures[name] == f"case when {flag} then 1 else 0 end"


def test_every_flag_is_a_column_of_a_mart(awkward: "Warehouse") -> None:
    marts = awkward.relations("marts")
    of_calls = {*marts["calls"], *marts["call_outcomes"], *marts["call_talk_metrics"], "true"}
    assert set(FLAGS.values()) <= of_calls


def test_every_metric_of_the_scorecard_can_be_asked(manifest: dict[str, Any], awkward: "Warehouse") -> None:
    known = {metric["name"] for metric in manifest["metrics"].values()}
    assert {*FLAGS, *RATES} <= known
    rest = {"scorecard_key", "period_start", "dimension", "dimension_value", "last_loaded_at"}
    shown = set(awkward.relations("marts")["scorecard_daily"]) - rest
    assert shown - known == OF_A_SCORECARD.keys()


@pytest.mark.parametrize("asked", ASKED)
def test_it_answers_what_the_scorecard_says(
    project: Path, awkward: "Warehouse", tmp_path: Path, asked: str
) -> None:
    answer = tmp_path / "answer.csv"
    by, dimension = ASKED[asked]
    changes = {name for name in awkward.relations("marts")["scorecard_daily"] if name.endswith("_change")}
    names = [*FLAGS, *RATES, "handle_seconds_p50", "handle_seconds_p90", "handle_seconds_p95", *changes]
    run(project, awkward, "mf", "query", "--metrics", ",".join(names), "--group-by", by, "--csv", str(answer))
    period, *parts = by.split(",")
    with answer.open(encoding="utf-8") as file:
        row_by_key = {
            (row[period][:10], *(row[part] or "unknown" for part in parts)): row
            for row in csv.DictReader(file)
            if row["call_count"] not in ("", "0")
        }
    card = "scorecard_weekly" if asked == "weekly" else "scorecard_daily"
    rows = awkward.rows(f"select * from marts.{card} where dimension = '{dimension}' and call_count > 0")
    wanted = {(str(row["period_start"]), row["dimension_value"])[: 1 + len(parts)]: row for row in rows}
    assert row_by_key.keys() == wanted.keys()
    for key, row in wanted.items():
        for name in names:
            if row[name] is None:
                assert row_by_key[key][name] in ("", "nan", "None"), (key, name)
            else:
                assert float(row_by_key[key][name]) == pytest.approx(row[name], rel=1e-6), (key, name)
