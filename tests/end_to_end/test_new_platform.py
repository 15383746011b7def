"""docs/sources/new.md, followed to the letter in a copy of the project, until its call stands in the marts."""

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
LEFT_OUT = shutil.ignore_patterns("__pycache__", "target", "logs", ".*", "node_modules")


@pytest.fixture
def copy(tmp_path: Path, free_port_of_receiver: int) -> tuple[Path, dict[str, str]]:
    """A copy of the project, and the environment of somebody who works in it."""
    folder = tmp_path / "project"
    for name in ("receiver", "integrations", "orchestration", "dbt_project"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    shutil.copytree(
        ROOT / "tests" / "receiver" / "sources", folder / "tests" / "receiver" / "sources", ignore=LEFT_OUT
    )
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


def test_the_page_adds_a_platform(copy: tuple[Path, dict[str, str]]) -> None:
    folder, environment = copy
    files, commands = FILES.findall(PAGE), COMMANDS.findall(PAGE)
    assert [len(files), len(commands)] == [4, 4]
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
