"""The project's own promises: documentation, contracts, tests of keys, JSON and sources only in staging."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml  # type: ignore[import-untyped]
from jinja2 import Environment
from jinja2.nodes import Macro

from receiver.sources import SOURCES

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Warehouse

PROJECT = Path(__file__).parents[2] / "dbt_project"
KEYS = {
    "calls": "call_key",
    "call_outcomes": "call_key",
    "call_metrics": "metric_key",
    "call_turns": "turn_key",
    "call_variables": "variable_key",
    "customers": "customer_phone",
    "agents": "agent_key",
    "call_metrics_daily": "day_key",
    "actions": "action_key",
    "call_end_reasons": "end_reason_key",
    "call_talk_metrics": "call_key",
    "call_volume": "volume_key",
    "call_concurrency": "concurrency_key",
    "scorecard_daily": "scorecard_key",
    "scorecard_weekly": "scorecard_key",
    "transfer_reasons": "transfer_reason_key",
    "drop_off_points": "drop_off_key",
    "after_call_work_daily": "work_key",
    "call_costs_daily": "cost_key",
    "webhook_loss_daily": "loss_key",
    "source_quality_daily": "quality_key",
}
ENVELOPE = ["action_key", "channel", "kind", "source", "call_id", "due_at", "skip_reason", "built_at"]


@pytest.fixture(scope="module")
def manifest(awkward: "Warehouse") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((awkward.target / "manifest.json").read_text(encoding="utf-8"))
    return loaded


def nodes(manifest: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == kind]


def test_every_column_of_every_relation_is_documented(manifest: dict[str, Any], awkward: "Warehouse") -> None:
    undocumented = []
    for node in nodes(manifest, "model") + nodes(manifest, "seed"):
        if not node["description"]:
            undocumented.append(node["name"])
        for column in awkward.relations(node["schema"])[node["alias"]]:
            if not node["columns"].get(column, {}).get("description"):
                undocumented.append(f"{node['name']}.{column}")
    assert undocumented == []


def test_every_platform_has_a_source_a_staging_model_and_a_line_in_the_list() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    staged = {
        path.parent.name: path
        for path in PROJECT.glob("models/staging/*/stg_*__events.sql")
        if path.parent.name != "recovery"
    }
    assert sorted(project["vars"]["platforms"]) == sorted(staged) == sorted(SOURCES)
    for name, path in staged.items():
        assert path.name == f"stg_{name}__events.sql"


def test_every_macro_is_described_with_its_arguments(manifest: dict[str, Any]) -> None:
    macros = [
        macro
        for macro in manifest["macros"].values()
        if macro["package_name"] == "aftercall" and "macros/" in macro["original_file_path"]
    ]
    assert len(macros) > 100
    for macro in macros:
        tree = Environment(autoescape=False, extensions=["jinja2.ext.do"]).parse(macro["macro_sql"])
        (definition,) = tree.find_all(Macro)
        assert macro["description"], macro["name"]
        described = [argument["name"] for argument in macro["arguments"] if argument["description"]]
        assert described == [argument.name for argument in definition.args], macro["name"]


def test_documentation_reaches_the_warehouse(awkward: "Warehouse") -> None:
    comment = awkward.row(
        "select comment from duckdb_columns() where schema_name = 'marts' and table_name = 'calls' "
        "and column_name = 'duration_seconds'"
    )["comment"]
    assert "seconds" in comment


def test_marts_have_contract_grain_and_key(manifest: dict[str, Any]) -> None:
    marts = {node["name"]: node for node in nodes(manifest, "model") if node["schema"] == "marts"}
    assert marts.keys() == KEYS.keys()
    tested = {
        (test["test_metadata"]["name"], test["attached_node"], test["column_name"])
        for test in nodes(manifest, "test")
        if test.get("test_metadata")
    }
    for name, key in KEYS.items():
        assert marts[name]["config"]["contract"]["enforced"]
        assert marts[name]["description"].startswith("One row ")
        assert ("unique", marts[name]["unique_id"], key) in tested
        assert ("not_null", marts[name]["unique_id"], key) in tested


def test_sync_models_open_with_the_envelope(awkward: "Warehouse") -> None:
    for relation, columns in awkward.relations("sync").items():
        assert columns[: len(ENVELOPE)] == ENVELOPE, relation


def test_the_ledger_survives_a_full_refresh(manifest: dict[str, Any]) -> None:
    assert manifest["nodes"]["model.aftercall.int_due_actions"]["config"]["full_refresh"] is False


def test_only_staging_reads_sources_and_json(manifest: dict[str, Any]) -> None:
    for node in nodes(manifest, "model"):
        if "models/staging" in node["original_file_path"]:
            continue
        assert not any(parent.startswith("source.") for parent in node["depends_on"]["nodes"]), node["name"]
        assert not re.search(r"\bjson_|payload|->", node["raw_code"]), node["name"]


def test_every_channel_and_the_board_is_an_exposure(manifest: dict[str, Any]) -> None:
    exposures = {exposure["name"]: exposure for exposure in manifest["exposures"].values()}
    applications = {"ticket_system", "follow_up_emails", "crm", "slack", "live_board", "published_copy"}
    assert exposures.keys() == applications
    published = exposures["published_copy"]["depends_on"]["nodes"]
    assert {key.rpartition(".")[2] for key in published} == KEYS.keys(), "BI reads every mart"
    synced = {parent for exposure in exposures.values() for parent in exposure["depends_on"]["nodes"]}
    for node in nodes(manifest, "model"):
        if node["schema"] == "sync":
            assert node["unique_id"] in synced
    assert all(exposure["owner"]["email"].endswith("@example.com") for exposure in exposures.values())


def test_unit_tests_of_the_rules_hold(awkward: "Warehouse") -> None:
    outcomes = awkward.dbt("test", "--selector", "unit")
    assert len(outcomes) >= 31
    assert set(outcomes.values()) == {"pass"}


@pytest.mark.slow
def test_dbt_build_by_hand_works_right_after_init(tmp_path: Path) -> None:
    """As the README has it, from the folder, with nothing loaded yet and no argument."""
    folders = {"AFTERCALL_HOME": "home", "DBT_TARGET_PATH": "target", "DBT_LOG_PATH": "logs"}
    environment = os.environ | {name: str(tmp_path / folder) for name, folder in folders.items()}
    init = "from orchestration.cli import main; main()", "init", "--env-file", str(tmp_path / "env")
    subprocess.run([sys.executable, "-c", *init], cwd=PROJECT.parent, env=environment, check=True)
    command = [str(Path(sys.executable).with_name("dbt")), "build"]
    built = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-5_000:]
    with duckdb.connect(str(tmp_path / "home" / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("select * from marts.calls").fetchall() == []


def test_actions_tell_what_became_of_them(new_warehouse: "Callable[[], Warehouse]", make_event: Any) -> None:
    warehouse = new_warehouse()
    warehouse.load([make_event("atoms", "call.end", "c", {"event": "call.end"}, "2026-11-02T08:00:00")])
    warehouse.execute(
        """
        insert into raw.outbox_actions (
            action_key, channel, kind, source, call_id, destination, payload, status,
            attempts, due_at, sent_at
        )
        values (
            'follow_up_email:atoms:c', 'email', 'follow_up_email', 'atoms', 'c', 'preview',
            '{"template": "thank_you"}', 'sent', 1, '2026-11-02 08:00:05', '2026-11-02 08:00:12.5'
        )
        """
    )
    warehouse.build_without_tests()
    row = warehouse.row("select * from marts.actions")
    assert (row["template"], row["call_key"]) == ("thank_you", "atoms:c")
    assert (row["seconds_from_call_end_to_sent"], row["seconds_from_due_to_sent"]) == (12.5, 7.5)


def test_a_slack_reason_without_a_row_and_a_headline_with_an_unknown_word_fail_a_test(
    awkward: "Warehouse", tmp_path: Path
) -> None:
    (compiled,) = awkward.target.rglob("compiled/**/every_due_action_has_a_channel.sql")
    copy = tmp_path / "warehouse.duckdb"
    shutil.copy(awkward.path, copy)
    with duckdb.connect(str(copy)) as connection:
        query = compiled.read_text(encoding="utf-8")
        assert connection.execute(query).fetchall() == []
        (seed,) = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_name = 'slack_channels'"
        ).fetchone() or [""]
        connection.execute(f"update {seed} set headline = 'Unhappy: {{who}}' where kind = 'unhappy_customer'")
        connection.execute(f"delete from {seed} where kind = 'vip_call'")
        assert sorted(connection.execute(query).fetchall()) == [
            ("unhappy_customer", "its headline has a placeholder that nobody fills in"),
            ("vip_call", "no row in slack_channels.csv"),
        ]
