"""Apache Superset over the published copy: a real one, through the API that its own pages use.

Superset is too large for the environment of the project, so it has one of its own: `make superset`.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.conftest import ROOT, Installation, free_port

SUPERSET = ROOT / ".venv" / "superset" / "bin" / "superset"
PERSON = {"username": "analyst", "password": "analyst"}
CONFIG = """
SECRET_KEY = "only for this test, and long enough for it"
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
# the published copy is a file, and Superset takes files only when told to
PREVENT_UNSAFE_DB_CONNECTIONS = False
"""


@dataclass
class Superset:
    """A running Superset, and an analyst who has logged in."""

    url: str
    session: requests.Session

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.session.post(f"{self.url}/api/v1/{path}", json=body, timeout=120)
        assert answer.ok, answer.text
        said: dict[str, Any] = answer.json()
        return said


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, land: Any) -> Installation:
    made = Installation(tmp_path_factory.mktemp("superset") / "home", free_port())
    land(made.home, calls=20)
    made.built().aftercall("run")
    return made


@pytest.fixture(scope="module")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    if not SUPERSET.exists():
        pytest.skip("needs Superset: make superset")
    folder = tmp_path_factory.mktemp("superset-home")
    (folder / "config.py").write_text(CONFIG.format(folder=folder))
    environment = os.environ | {
        "SUPERSET_CONFIG_PATH": str(folder / "config.py"), "SUPERSET_HOME": str(folder), "FLASK_APP": "superset",
    }  # fmt: skip
    person = ["--username", PERSON["username"], "--password", PERSON["password"]]
    named = ["--firstname", "An", "--lastname", "Analyst", "--email", "analyst@shop.example"]
    for arguments in (["db", "upgrade"], ["fab", "create-admin", *person, *named], ["init"]):
        done = subprocess.run([SUPERSET, *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3_000:]
    port = free_port()
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [SUPERSET, "run", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield _logged_in(f"http://127.0.0.1:{port}", server)
    finally:
        # nothing of it is kept
        server.kill()
        server.wait()


def _logged_in(url: str, server: subprocess.Popen[bytes]) -> Superset:
    session = requests.Session()
    deadline = time.monotonic() + 240
    while True:
        assert server.poll() is None, "Superset ended"
        try:
            answer = session.post(
                f"{url}/api/v1/security/login", json={**PERSON, "provider": "db"}, timeout=30
            )
            session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            return Superset(url, session)
        except (requests.RequestException, KeyError):
            assert time.monotonic() < deadline, "Superset did not start"
            time.sleep(0.5)


@pytest.mark.timeout(1_200)
def test_an_analyst_charts_a_mart_and_sees_each_new_copy(
    superset: Superset, published: Installation, land: Any
) -> None:
    path = published.home / "published" / "marts.duckdb"
    database = superset.post(
        "database/",
        {"database_name": "aftercall", "sqlalchemy_uri": f"duckdb:///{path}?access_mode=read_only"},
    )["id"]
    dataset = superset.post("dataset/", {"database": database, "schema": "main", "table_name": "calls"})
    described = {column["column_name"]: column["description"] for column in dataset["data"]["columns"]}
    assert all(described.values()), "the comments of the columns are the descriptions of the dataset"
    looks = {"groupby": ["status"], "metric": "count"}
    chart = superset.post(
        "chart/",
        {
            "slice_name": "Calls by status",
            "viz_type": "pie",
            "datasource_id": dataset["id"],
            "datasource_type": "table",
            "params": json.dumps(looks),
        },
    )
    assert chart["result"]["slice_name"] == "Calls by status"
    assert _charted(superset, dataset["id"]) == dict(
        published.mart("select status, count(*) from calls group by all")  # type: ignore[arg-type]
    )

    land(published.home, calls=5, seed=11)
    published.aftercall("run")
    after = published.mart("select count(*) from calls")[0][0]
    assert sum(_charted(superset, dataset["id"]).values()) == after
    asked = {"database_id": database, "sql": "select count(*) as calls from calls", "schema": "main"}
    assert superset.post("sqllab/execute/", asked | {"runAsync": False})["data"] == [{"calls": after}]


def _charted(superset: Superset, dataset: int) -> dict[str, int]:
    calls = {"expressionType": "SQL", "sqlExpression": "count(*)", "label": "calls"}
    query = {"columns": ["status"], "metrics": [calls], "row_limit": 100}
    body = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "force": True}
    rows = superset.post("chart/data", body | {"result_format": "json", "result_type": "full"})["result"][0][
        "data"
    ]
    return {row["status"]: row["calls"] for row in rows}
