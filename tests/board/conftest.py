"""A receiver and a board that really run over one state directory, and a browser that looks at them."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.conftest import ROOT, Installation, Receiver, free_port

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip


@dataclass
class Board:
    """A running board; use as a context manager."""

    of: Installation
    more: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Board":
        self.port = self.port or free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "integrations.board"],
            cwd=ROOT,
            env=self.of.environment(
                AFTERCALL_BOARD_BIND=f"127.0.0.1:{self.port}",
                AFTERCALL_DAGSTER_BIND=f"127.0.0.1:{free_port()}",
                **self.more,
            ),
        )
        until(self._answers, "the board to answer", 60)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the board ended"
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)

    def part(self, name: str) -> str:
        """A part of the page as it is now."""
        return str(requests.get(f"{self.url}/parts", timeout=5).json().get(name, ""))


@dataclass
class Office:
    """An installation whose receiver and board run."""

    installation: Installation
    board: Board

    def post(self, event: str, call_id: str, **more: Any) -> None:
        """An event of the seed dialect, acknowledged."""
        body = {"event": event, "call_id": call_id, "agent_id": "agent_nora", **more}
        requests.post(f"{self.installation.url}/webhooks/atoms", json=body, timeout=10).raise_for_status()

    def start(self, call_id: str, phone: str = "+12025550143") -> None:
        self.post("call.start", call_id, call_direction="inbound", caller_phone=phone)


def until(true: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait for something; fails the test when it does not come."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    made = Installation(tmp_path_factory.mktemp("office") / "home", free_port())
    with Receiver(made), Board(made) as board:
        yield Office(made, board)


@pytest.fixture(scope="module")
def page() -> Iterator[Chrome]:
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("needs a browser: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    browser.set_window_size(1400, 900)
    yield browser
    browser.quit()
