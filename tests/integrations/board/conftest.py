"""A receiver and a board that really run over one state directory, and a browser that looks at them."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from integrations.board import app
from integrations.board.access import Access
from integrations.board.config import BoardSettings
from integrations.board.home_token import path_of
from orchestration.tools import processes
from orchestration.tools.board_copy import BoardCopy
from orchestration.warehouse.copy_files import PublishedFile
from tests.conftest import ROOT, Installation, Receiver, free_port

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>\u202e{{7*7}}"
HOSTILE_CALL = "hostile/../<b>&"
COMPLETED = "select count(*) from calls where status = 'completed' and call_date = current_date"
"""What "completed today" means to who asks the marts."""
TOKEN = "token-of-every-board-that-a-test-starts-0123"
PHONE, EMAIL = "+353861234501", "jo.doe@mail.example.com"


BEARER = {"Authorization": f"Bearer {TOKEN}"}


def know_token(home: Path) -> BoardSettings:
    """Give a home the token that these tests know; the settings of a board there."""
    settings = BoardSettings(home=home)
    home.mkdir(parents=True, exist_ok=True)
    path_of(settings).write_text(TOKEN, encoding="ascii")
    path_of(settings).chmod(0o600)
    return settings


def copy_of(home: Path) -> BoardCopy:
    """The published copy of a home."""
    return BoardCopy(
        PublishedFile(home / "published" / "marts.duckdb"), home / "dlt" / "landing" / "state.json"
    )


def board_of(settings: BoardSettings) -> app.Board:
    """A board in this process, not started."""
    return app.Board(settings, copy_of(settings.home))


@pytest.fixture(autouse=True)
def bring_token(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `requests` send the token to boards by itself, by the file that requests reads passwords from.

    A test that asks without the token, or with another, gives `requests.Session.trust_env` or a header of its own.
    """
    netrc = tmp_path_factory.getbasetemp() / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login anybody password {TOKEN}\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(netrc))


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
        know_token(self.of.home)
        self.process = subprocess.Popen(
            processes.board_process(),
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

    def kill(self) -> None:
        """End all its processes by SIGKILL."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        for each in [parent, *parent.children(recursive=True)]:
            each.kill()
        self.process.wait(20)

    def part(self, name: str) -> str:
        """A part of the page as it is now."""
        answer = requests.get(f"{self.url}/parts", timeout=5, headers=BEARER)
        return str(answer.json().get(name, ""))


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


def text_of(page: Chrome, selector: str) -> str:
    """The text that is seen there, with single spaces."""
    inner = page.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    return " ".join(str(inner).split())


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    started = Installation(tmp_path_factory.mktemp("office") / "home", free_port())
    with Receiver(started), Board(started) as board:
        yield Office(started, board)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("needs a browser: make systems")
    options = ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    bring_cookie(browser, tmp_path_factory.mktemp("token"))
    yield browser
    browser.quit()


def bring_cookie(browser: Chrome, home: Path) -> None:
    """What a browser has after it opened the address with the token; cookies do not know ports."""
    access = Access(know_token(home))
    (cookie,) = access.cookie(access.user("127.0.0.1", {"host": "127.0.0.1"}, f"token={TOKEN}"))
    name, _, value = cookie[1].partition(";")[0].partition("=")
    more = {"url": "http://127.0.0.1/", "httpOnly": True, "sameSite": "Strict"}
    browser.execute_cdp_cmd("Network.setCookie", {"name": name, "value": value, **more})


@pytest.fixture
def page(chromium: Chrome) -> Chrome:
    """The browser at a desk's size, with nothing in its console that another test has left there."""
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.set_window_size(1400, 900)
    chromium.get_log("browser")  # type: ignore[no-untyped-call]
    return chromium


def complaints(page: Chrome) -> list[str]:
    """What the console holds: a refused script, a failed request, an error."""
    return [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"]  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Worked:
    """An office after a pass over a hostile call and two of one customer, and how an open page took it."""

    office: Office
    tiles_before: str
    tiles_after: str
    was_reloaded: bool
    completed: int


@pytest.fixture(scope="session")
def worked(office: Office, chromium: Chrome) -> Worked:
    tell_of_hostile_call(office)
    for call_id in ("first", "second"):
        office.post(
            "call.end", call_id, duration_seconds=60, caller_phone=PHONE, variables={"customer_email": EMAIL}
        )
        office.post(
            "analytics.completed", call_id, metrics={"satisfaction_score": 1, "issue_resolved": False}
        )
    chromium.get(office.board.url)
    until(lambda: "first published build" in text_of(chromium, ".tiles"), "a page without numbers")
    chromium.execute_script("window.isSamePage = true")
    before = text_of(chromium, ".tiles")
    office.installation.aftercall("run")
    until(lambda: "Satisfaction 1.0" in text_of(chromium, ".tiles"), "the numbers")
    was_reloaded = not chromium.execute_script("return window.isSamePage === true")
    counted = office.installation.mart(COMPLETED)[0][0]
    return Worked(office, before, text_of(chromium, ".tiles"), was_reloaded, int(str(counted)))


def tell_of_hostile_call(office: Office) -> None:
    """A call in which every stranger's text tries to be more than text, in two directions of writing."""
    office.post(
        "call.end",
        HOSTILE_CALL,
        duration_seconds=5,
        caller_phone=HOSTILE,
        disposition="unresolved",
        transcript=[
            {"role": "customer", "content": HOSTILE},
            {"role": "agent", "content": "שלום, מה שלומך?"},
            {"role": "customer", "content": "お電話ありがとう"},
        ],
        variables={"customer_name": HOSTILE, "issue_type": HOSTILE},
    )
    office.post("analytics.completed", HOSTILE_CALL, metrics={"satisfaction_score": 1, "summary": HOSTILE})
