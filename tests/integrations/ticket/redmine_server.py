"""A Redmine of the tests' own: Debian's package, on a copy of the database that it was installed with."""

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import free_port

CODE = Path("/usr/share/redmine")
DATABASE = Path("/var/lib/dbconfig-common/sqlite3/redmine/instances/default/redmine_default")
SET_UP = Path(__file__).with_name("redmine.ru")
OWNER = "www-data"


@dataclass(frozen=True)
class Server:
    """A running Redmine; `keys` are API keys by login: aftercall, agent, admin."""

    url: str
    keys: dict[str, str]
    database: Path

    def ask(self, method: str, path: str, by: str = "agent", **arguments: Any) -> Any:
        """What a person does there; the answer's JSON, or its text."""
        headers = {"X-Redmine-API-Key": self.keys[by]}
        answer = requests.request(method, self.url + path, headers=headers, timeout=60, **arguments)
        answer.raise_for_status()
        is_json = "json" in answer.headers.get("Content-Type", "") and answer.content
        return answer.json() if is_json else answer.text

    def holding(self, text: str) -> list[dict[str, Any]]:
        """Issues whose description has the text, read from the database."""
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("select * from issues where instr(description, ?) order by id", (text,))
            return [dict(row) for row in rows]

    def notes(self) -> list[tuple[int, str]]:
        """Every note, with its issue's number, read from the database."""
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            query = "select journalized_id, notes from journals where notes <> ''"
            return connection.execute(query).fetchall()

    def format(self, name: str) -> None:
        """Change the text formatting, as an administrator would."""
        with closing(sqlite3.connect(self.database, timeout=30)) as connection, connection:
            (newest,) = connection.execute("select max(updated_on) from settings").fetchone()
            connection.execute("delete from settings where name = 'text_formatting'")
            connection.execute(
                "insert into settings (name, value, updated_on) "
                "values ('text_formatting', ?, max(datetime('now'), datetime(?, '+1 second')))",
                (name, newest),
            )


@contextmanager
def running() -> Iterator[Server]:
    """A Redmine on a free port; skips the test where it cannot be had."""
    if not (CODE / "config.ru").exists() or shutil.which("puma") is None or not _is_readable(DATABASE):
        pytest.skip("needs Redmine, and root to run it: make systems")
    folder = Path(tempfile.mkdtemp(prefix="aftercall-redmine-"))
    database, keys = folder / "redmine.sqlite", folder / "keys.json"
    # not its file alone: newer Rails keep what was written last in a file beside it
    with closing(sqlite3.connect(DATABASE)) as installed, closing(sqlite3.connect(database)) as copy:
        installed.backup(copy)
    for path in (folder, database):
        shutil.chown(path, OWNER, OWNER)
    url = f"http://127.0.0.1:{free_port()}"
    environment = {
        **os.environ, "RAILS_ENV": "production", "REDMINE_INSTANCE": "default", "BUNDLER_VERSION": "2.3.15",
        "DATABASE_URL": f"sqlite3:{database}?timeout=30000", "AFTERCALL_TEST_KEYS": str(keys),
    }  # fmt: skip
    tcp = url.replace("http", "tcp")
    command = ["puma", "-C", "/dev/null", "-e", "production", "-t", "2:4", "-b", tcp, str(SET_UP)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=CODE, env=environment, user=OWNER, group=OWNER, extra_groups=[],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _wait(process, url, folder / "log")
        yield Server(url, json.loads(keys.read_text()), database)
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _is_readable(path: Path) -> bool:
    return os.geteuid() == 0 and path.exists()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 180
    while True:
        assert process.poll() is None, f"Redmine ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"Redmine did not start:\n{log.read_text()}"
        try:
            requests.get(f"{url}/login", timeout=60).raise_for_status()
            return
        except requests.ConnectionError:
            time.sleep(0.2)
