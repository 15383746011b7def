"""Dagster's own web server behind the guard: what a page in the operator's browser, a stranger and a person may do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
from pydantic import SecretStr
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from integrations.board.access import NotSafe, refuse_open
from orchestration.config import DagsterSettings
from orchestration.runtime.webserver import serve
from tests.conftest import ROOT, free_port
from tests.dagster_ui import wait_until

ZERO = 'mutation { setConcurrencyLimit(concurrencyKey: "warehouse", limit: 0) }'
QUERY = "{ version }"
TOKEN = "token-of-the-guarded-dagster-of-these-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Ui:
    """A running web server, and the instance that it shows."""

    url: str
    instance: dg.DagsterInstance

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def get(self, path: str, headers: Mapping[str, str] = BEARER, **more: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(self.url + path, headers=dict(headers), timeout=30, **more)

    def ask(self, query: str, headers: Mapping[str, str] = BEARER, **more: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            body = more or {"json": {"query": query}}
            return session.post(f"{self.url}/graphql", headers=dict(headers), timeout=30, **body)

    def limit(self) -> int | None:
        """How many steps may write the warehouse at once, as far as somebody has set it."""
        limits = {pool.name: pool.limit for pool in self.instance.event_log_storage.get_pool_limits()}
        return limits.get("warehouse")


def started(home: Path, **settings: str) -> subprocess.Popen[bytes]:
    """The web server of an empty workspace in a home."""
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    workspace = home / "dagster" / "workspace.yaml"
    workspace.write_text("load_from: []\n")
    (home / "access-token").write_text(TOKEN)
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("AFTERCALL_", "DAGSTER_"))
    }
    homes = {"AFTERCALL_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    return subprocess.Popen(
        [sys.executable, "-m", "orchestration.runtime.webserver", str(workspace)],
        cwd=ROOT,
        env=clean | homes | settings,
    )


def ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    home, port = tmp_path_factory.mktemp("guarded") / "home", free_port()
    process = started(home, AFTERCALL_DAGSTER_BIND=f"127.0.0.1:{port}")
    try:
        server = Ui(f"http://127.0.0.1:{port}", dg.DagsterInstance.from_config(str(home / "dagster")))
        wait_until(lambda: server.get("/server_info", {}).ok, "Dagster's web server")
        yield server
    finally:
        ended(process)


def test_no_get_changes_anything(ui: Ui) -> None:
    """`<img src="http://127.0.0.1:3000/graphql?query=mutation…">` stopped every load."""
    disguised = (
        f'query A {QUERY} # \n mutation B {{ setConcurrencyLimit(concurrencyKey: "warehouse", limit: 0) }}'
    )
    for query in (
        ZERO,
        f" \ufeff# a comment\n,{ZERO}",
        f"fragment f on Query {{ version }} {ZERO}",
        disguised,
    ):
        for parameters in (
            {"query": query},
            {"query": query, "operationName": "B"},
            [("query", QUERY), ("query", query)],
        ):
            answer = ui.get("/graphql", params=parameters)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), query
    assert ui.limit() is None


def test_a_get_reads_and_a_post_of_an_own_page_changes(ui: Ui) -> None:
    assert ui.get("/graphql", params={"query": QUERY}).json()["data"]["version"]
    assert ui.get("/graphql", params={"query": "{ nonsense"}).status_code == 400
    own = BEARER | {"Origin": ui.url, "Sec-Fetch-Site": "same-origin"}
    assert ui.ask(ZERO.replace("limit: 0", "limit: 3"), own).ok
    assert ui.limit() == 3
    ui.instance.event_log_storage.delete_concurrency_limit("warehouse")


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
    ],
    ids=str,
)
def test_what_a_page_of_another_site_sends_is_refused_in_any_form(ui: Ui, foreign: dict[str, str]) -> None:
    headers = BEARER | foreign
    as_form = {"data": {"query": ZERO}}
    as_text = {"data": json.dumps({"query": ZERO}), "params": {"query": ZERO}}
    assert ui.ask(ZERO, headers).status_code == 403
    assert ui.ask(ZERO, headers, **as_form).status_code == 403
    assert ui.ask(ZERO, headers | {"Content-Type": "text/plain"}, **as_text).status_code == 403
    assert ui.get("/graphql", headers, params={"query": QUERY}).status_code == 403
    with pytest.raises(InvalidStatus):
        listen(ui, headers)
    assert ui.limit() is None


def listen(ui: Ui, headers: Mapping[str, str]) -> None:
    """A websocket as the UI opens one; raises InvalidStatus where it is refused."""
    # the client's own Host stands first, and a server takes both
    more = {name: value for name, value in headers.items() if name != "Host"}
    if "Host" in headers:
        more["Origin"] = f"http://{headers['Host']}"
    with connect(f"ws://{ui.host}/graphql", additional_headers=more, subprotocols=["graphql-ws"]) as stream:  # type: ignore[list-item]
        stream.send(json.dumps({"type": "connection_init"}))
        assert json.loads(stream.recv(30))["type"] == "connection_ack"


def test_a_websocket_of_an_own_page_is_let_in(ui: Ui) -> None:
    listen(ui, BEARER | {"Origin": ui.url})


def test_a_link_from_another_site_opens_the_page_but_not_in_a_frame(ui: Ui) -> None:
    link = BEARER | {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    page = ui.get("/", link)
    assert page.ok
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert ui.get("/", link | {"Sec-Fetch-Dest": "iframe"}).status_code == 403


def test_without_the_token_nothing_is_shown_but_that_it_answers(ui: Ui) -> None:
    for path in (
        "/",
        "/graphql?query=%7Bversion%7D",
        "/runs",
        "/logs/x.err",
        "/server_info/",
        "/?token=wrong",
    ):
        answer = ui.get(path, {})
        assert answer.status_code == 401, path
        assert TOKEN not in answer.text
    assert ui.ask(QUERY, {}).status_code == 401
    with pytest.raises(InvalidStatus):
        listen(ui, {"Origin": ui.url})
    assert ui.get("/server_info", {}).ok


def test_the_printed_address_lets_a_browser_in_and_its_websocket_too(ui: Ui) -> None:
    with requests.Session() as browser:
        browser.trust_env = False
        first = browser.get(f"{ui.url}/runs?token={TOKEN}", headers={"Accept": "text/html"}, timeout=30)
        assert [step.status_code for step in (*first.history, first)] == [303, 200]
        assert first.url == f"{ui.url}/runs"
        cookie = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
        assert browser.get(f"{ui.url}/graphql", params={"query": QUERY}, timeout=30).ok
    listen(ui, {"Cookie": cookie, "Origin": ui.url})


def test_with_a_password_any_name_of_the_machine_will_do_and_the_token_will_not(tmp_path: Path) -> None:
    port = free_port()
    settings = {"AFTERCALL_DAGSTER_BIND": f"0.0.0.0:{port}", "AFTERCALL_BOARD_PASSWORD": "s3same"}
    process = started(tmp_path / "home", **settings)
    try:
        ui = Ui(
            f"http://127.0.0.1:{port}", dg.DagsterInstance.from_config(str(tmp_path / "home" / "dagster"))
        )
        wait_until(lambda: ui.get("/server_info", {}).ok, "Dagster's web server")
        for headers in ({}, BEARER):
            refused = ui.get("/", headers)
            assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
        named = {"Host": "dagster.example"}
        assert ui.get("/", named, auth=("anna", "s3same")).ok
        own = named | {"Origin": "https://dagster.example"}
        with requests.Session() as browser:
            browser.trust_env = False
            browser.get(ui.url, headers=named, auth=("anna", "s3same"), timeout=30)
            cookie = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
        assert ui.ask(QUERY, own | {"Cookie": cookie}).ok
        assert ui.ask(QUERY, own | {"Cookie": cookie, "Origin": "null"}).status_code == 403
    finally:
        ended(process)


def test_beyond_loopback_it_does_not_listen_without_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path))
    for bind in ("0.0.0.0:3000", "[::]:3000", "192.0.2.1:3000"):
        with pytest.raises(NotSafe, match="AFTERCALL_DAGSTER_PASSWORD"):
            serve(DagsterSettings(dagster_bind=bind), tmp_path / "workspace.yaml")
    refuse_open(DagsterSettings(dagster_bind="0.0.0.0:3000", dagster_password=SecretStr("x")))
