"""The data dictionary says what the project says, and dbt's own documentation is served from an empty home."""

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml  # type: ignore[import-untyped]

from docs import dictionary
from orchestration.config import DBT_PROJECT, OrchestrationSettings
from orchestration.warehouse import dbt

if TYPE_CHECKING:
    from tests.conftest import Installation

PROJECT = (DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = OrchestrationSettings(home=tmp_path_factory.mktemp("dictionary"))
    read: dict[str, Any] = json.loads(dbt.ensure_manifest(settings).read_text(encoding="utf-8"))
    return read


def test_the_page_is_fresh(manifest: dict[str, Any]) -> None:
    assert dictionary.PAGE.read_text(encoding="utf-8") == dictionary.page(manifest, PROJECT), dictionary.STALE


def test_every_mart_column_and_var_is_on_it(manifest: dict[str, Any]) -> None:
    page = dictionary.page(manifest, PROJECT)
    marts = [node for node in manifest["nodes"].values() if node["schema"] == "marts" and "columns" in node]
    for mart in marts:
        section = page.partition(f"\n### {mart['name']}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
        for name, column in mart["columns"].items():
            lock = " 🔒" if column["meta"].get("pii") else ""
            assert f"| `{name}`{lock} | {column['data_type']} |" in section
    for name in yaml.safe_load(PROJECT)["vars"]:
        assert f"| `{name}` |" in page
    assert "customers ||--o{ calls : customer_phone" in page


def test_metrics_are_listed_with_their_formulas(manifest: dict[str, Any]) -> None:
    metric = {
        "name": "csat",
        "description": "Share of rated calls\nwith 4 or 5.",
        "type_params": {
            "numerator": {"name": "happy_calls"},
            "denominator": {"name": "rated_calls"},
            "expr": None,
        },
    }
    page = dictionary.page({**manifest, "metrics": {"metric.aftercall.csat": metric}}, PROJECT)
    assert "| `csat` | `happy_calls / rated_calls` | Share of rated calls with 4 or 5. |" in page


def test_dbt_docs_are_served_from_a_home_without_anything(installation: "Installation") -> None:
    program = "import sys; from docs.serve import main; main(int(sys.argv[1]))"
    serving = installation.start_python(program, str(installation.port))
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                nodes = requests.get(f"{installation.url}/manifest.json", timeout=30).json()["nodes"]
                break
            except requests.ConnectionError:
                assert serving.poll() is None, serving.stdout and serving.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.2)
        catalog = requests.get(f"{installation.url}/catalog.json", timeout=30).json()
    finally:
        serving.send_signal(signal.SIGINT)
        output = serving.communicate(timeout=30)[0].decode()
    assert "model.aftercall.calls" in nodes
    assert "source.aftercall.raw.call_events" in catalog["sources"]
    assert serving.returncode == 0
    assert "Nothing is built here yet" in output
    assert "Traceback" not in output
