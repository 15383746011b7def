"""Outboxes on both databases, and settings that look at nothing but the test."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Limits
from integrations.outbox import Outbox, open_outbox
from integrations.routes import Routes, routes

# Debian keeps its versions beside each other
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=Path("/nowhere/initdb")).parent


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AFTERCALL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class _Unpaced:
    """An installation's routes, with no pace but the file's: destinations' own would have tests wait for turns."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    def limits_of(self, name: str, own: Limits) -> Limits:
        return self._routes.limits_of(name, replace(own, per_second=None))


@pytest.fixture(autouse=True)
def _no_waiting_for_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.outbox.worker.routes", lambda settings: _Unpaced(routes(settings)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A cluster of its own on a socket in a temporary folder; the URL of its first database."""
    pytest.importorskip("psycopg")
    if not (POSTGRES / "initdb").exists():
        pytest.skip("needs Postgres: make systems")
    folder = Path(tempfile.mkdtemp(prefix="aftercall-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": "nobody"}
        shutil.chown(folder, "nobody")

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **user)

    data = str(folder / "data")
    run(
        str(POSTGRES / "initdb"),
        "-D",
        data,
        "-U",
        "aftercall",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-locale",
        "-N",
    )
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c port=5499"
    run(str(POSTGRES / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://aftercall@/postgres?host={folder}&port=5499"
    finally:
        run(str(POSTGRES / "pg_ctl"), "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once on SQLite and once on Postgres."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'outbox.sqlite'}"
        return
    psycopg = pytest.importorskip("psycopg")
    cluster = request.getfixturevalue("postgres")
    name = f"t{os.getpid()}_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield cluster.replace("/postgres?", f"/{name}?")
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def make_settings(url: str, tmp_path: Path) -> Callable[..., IntegrationSettings]:
    def make(**changes: Any) -> IntegrationSettings:
        return IntegrationSettings(home=tmp_path / "home", outbox_url=url, **changes)

    return make


@pytest.fixture
def settings(make_settings: Callable[..., IntegrationSettings]) -> IntegrationSettings:
    return make_settings()


@pytest.fixture
def outbox(url: str) -> Iterator[Outbox]:
    with open_outbox(url) as opened:
        yield opened
