"""docs/sources/new.md, followed to the letter in a copy of the project: its call is in the marts, and tests pass."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
import requests

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sources" / "new.md").read_text(encoding="utf-8")
FILES = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRODUCT = ("receiver", "integrations", "orchestration", "dbt_project")
FILES_OF_A_PLATFORM = {
    "receiver/sources/parley.py",
    "dbt_project/models/staging/parley/stg_parley__events.sql",
    "dbt_project/models/staging/_staging.yml",
    "dbt_project/dbt_project.yml",
    "dbt_project/seeds/end_reasons.csv",
    "dbt_project/seeds/event_types.csv",
}
TESTS_OF_ALL_PLATFORMS = (
    "tests/receiver/sources",
    "tests/receiver/test_identity.py",
    "tests/receiver/test_openapi.py",
    "tests/receiver/test_signatures.py",
    "tests/integrations/board/test_live_calls.py",
    "tests/dbt_project/test_live_durations.py",
    "tests/dbt_project/test_project.py",
    "tests/dbt_project/test_source_facts.py",
)
LEFT_OUT = shutil.ignore_patterns("__pycache__", "target", "logs", ".*", "node_modules")


@pytest.fixture
def copy(tmp_path: Path, free_port_of_receiver: int) -> tuple[Path, dict[str, str]]:
    """A copy of the project, and the environment of somebody who works in it."""
    folder = tmp_path / "project"
    for name in (*PRODUCT, "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    for name in ("pyproject.toml", "workspace.yaml"):
        shutil.copy(ROOT / name, folder / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    run = f'#!/bin/sh\nexec "{sys.executable}"'
    for name, arguments in {
        "aftercall": "-c 'from orchestration.cli import main; main()'",
        "pytest": "-m pytest",
        "python": "",
    }.items():
        program = programs / name
        program.write_text(f'{run} {arguments} "$@"\n')
        program.chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AFTERCALL_")}
    return folder, clean | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "AFTERCALL_HOME": str(tmp_path / "home"),
        "AFTERCALL_RECEIVER_BIND": f"127.0.0.1:{free_port_of_receiver}",
        "AFTERCALL_SECRET_PARLEY": "the key of the hook",
        "AFTERCALL_IGNORE_ACTION_AGE": "1",
    }


@pytest.fixture
def free_port_of_receiver() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return int(port)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_page_adds_a_platform(copy: tuple[Path, dict[str, str]]) -> None:
    folder, environment = copy
    files, commands = FILES.findall(PAGE), COMMANDS.findall(PAGE)
    assert [len(files), len(commands)] == [5, 5]
    for path, content in files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    receiver = None
    printed = []
    try:
        for command in commands:
            if "aftercall connect" in command:
                receiver = start_receiver(folder, environment)
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=600,
            )
            printed.append(done.stdout.decode())
            assert done.returncode == 0, printed[-1][-5_000:]
    finally:
        if receiver is not None:
            receiver.terminate()
            receiver.wait(20)
    assert "6 passed" in printed[0]
    assert "Workspace > Hooks: add http://127.0.0.1" in printed[2]
    assert "a signed trial came through" in printed[2]
    assert changed_files(folder) == FILES_OF_A_PLATFORM
    home = Path(environment["AFTERCALL_HOME"])
    with duckdb.connect(str(home / "published" / "marts.duckdb"), read_only=True) as connection:
        calls = connection.execute(
            "select source, call_id, agent_id, direction, customer_phone, agent_phone, started_at::varchar, "
            "duration_seconds, turn_count, status, end_reason_category from calls"
        ).fetchall()
        outcome = connection.execute("select is_resolved, satisfaction_score from call_outcomes").fetchall()
    assert calls == [
        ("parley", "pl-2044", "front-desk", "inbound", "+12025550143", "+12025550100", "2026-11-02 08:01:40",
         98.5, 2, "completed", "customer_hung_up")
    ]  # fmt: skip
    assert outcome == [(False, 2)]
    assert "ticket" in printed[3]
    suite = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS_OF_ALL_PLATFORMS],
        cwd=folder,
        env={name: value for name, value in environment.items() if not name.startswith("AFTERCALL_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
    )
    assert suite.returncode == 0, suite.stdout.decode()[-5_000:]


def changed_files(folder: Path) -> set[str]:
    """The product's files that are new in a copy, or differ from the original."""
    copies = [path for name in PRODUCT for path in (folder / name).rglob("*") if path.is_file()]
    originals = {path: ROOT / path.relative_to(folder) for path in copies}
    return {
        str(path.relative_to(folder))
        for path, original in originals.items()
        if not {"__pycache__", "target", "logs"} & set(path.parts)
        and (not original.exists() or path.read_bytes() != original.read_bytes())
    }


def start_receiver(folder: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "receiver"], cwd=folder, env=environment, stderr=subprocess.DEVNULL
    )
    url = f"http://{environment['AFTERCALL_RECEIVER_BIND']}/healthz"
    deadline = time.monotonic() + 60
    while True:
        try:
            if requests.get(url, timeout=5).ok:
                return process
        except requests.ConnectionError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
