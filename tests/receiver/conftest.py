"""A real receiver process on a free port, and the documented Atoms bodies."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

BODIES = Path(__file__).parent / "sources" / "bodies" / "atoms"


@pytest.fixture
def atoms_body() -> Callable[[str], bytes]:
    """Reads one of the documented Atoms bodies by its name, rewritten with our own people and numbers."""
    return lambda name: (BODIES / f"{name}.json").read_bytes()


@pytest.fixture(scope="module")
def start_receiver(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., tuple[str, Path, subprocess.Popen[bytes]]]]:
    """Starts receivers: settings as keywords without prefix; gives address, home (and log) and process."""
    running: list[subprocess.Popen[bytes]] = []

    def start(
        host: str = "127.0.0.1", module: str = "receiver", port: int = 0, **settings: str
    ) -> tuple[str, Path, subprocess.Popen[bytes]]:
        folder = tmp_path_factory.mktemp("receiver")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = port or probe.getsockname()[1]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AFTERCALL_")}
        env = clean | {
            "AFTERCALL_HOME": str(folder),
            "AFTERCALL_RECEIVER_BIND": f"{host}:{port}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        env |= {f"AFTERCALL_{key.upper()}": value for key, value in settings.items()}
        with (folder / "log").open("wb") as log, (folder / "stdout").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", module], cwd=folder, env=env, stderr=log, stdout=out
            )
        running.append(process)
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                if requests.get(f"{url}/healthz", timeout=5).ok:
                    return url, folder, process
            except requests.ConnectionError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        raise AssertionError("the receiver did not start")

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(timeout=20)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as clients:
        yield clients
