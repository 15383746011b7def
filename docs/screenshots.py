"""`make screenshots`: pictures for the README and the board's page, taken by Chromium from a demo that really runs.

Needs `chromium` and `chromium-driver` (Debian: `apt-get install chromium chromium-driver`).
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import orjson
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from receiver.config import Home
from receiver.envelope import Facts, line, seal
from receiver.landing import open_landing

IMAGES = Path(__file__).resolve().parent / "images"
DAGSTER = "http://127.0.0.1:3037"
BOARD = "http://127.0.0.1:8137"
RECEIVER_BIND = "127.0.0.1:8037"
CALLS = 60
AGENTS = ("front_desk", "bookings", "support")
CALLERS = ("+12025550143", "+493025551211", "+447700900142", "+13125550187")
SIZE = (1500, 940)
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
SETTLE_SECONDS = 6.0
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--hide-scrollbars")  # fmt: skip
OPEN_GROUPS = ("sync", "actions")


def main() -> None:
    """Write `docs/images/*.png`."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)), browser() as page:
        # one cookie for both: a browser sends it to every port of a host
        page.get(f"{BOARD}/?token={token(Path(folder))}")
        groups = ",".join(quote(f"global@global:{group}", safe="") for group in OPEN_GROUPS)
        # first: a call on the line begins a pass, and what runs has no state to show
        picture(page, "lineage", f"{DAGSTER}/asset-groups?expanded={groups}", "sync_tickets")
        ring(Path(folder))
        picture(page, "board", BOARD, "by agent and issue")
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        picture(page, "board-phone", BOARD, "by agent and issue")


def token(home: Path) -> str:
    """What the demo's board and Dagster ask for."""
    return (home / "demo" / "access-token").read_text(encoding="ascii").strip()


def ring(home: Path) -> None:
    """Calls that began a while ago, so that somebody is on the line; landed by hand: nobody can sign for the demo."""
    store = open_landing(Home(home=home / "demo").landing)
    for number, phone in enumerate(CALLERS):
        began = datetime.now(UTC) - timedelta(seconds=47 * number)
        call = {"call_id": f"call-{number}", "agent_id": AGENTS[number % len(AGENTS)]}
        body = orjson.dumps({"event": "call_started", "call": call})
        facts = Facts(
            event_type="call.start",
            call_id=call["call_id"],
            occurred_at=began,
            customer_phone=phone,
            direction="outbound" if number % 2 else "inbound",
        )
        store.append([line(seal("retell", facts, body, began), body)])
    store.close()


def picture(page: Chrome, name: str, address: str, wanted: str) -> None:
    """One page, once it shows the wanted text and its drawing has come to rest."""
    page.get(address)
    WebDriverWait(page, 60).until(lambda driver: wanted in driver.find_element(By.TAG_NAME, "body").text)
    time.sleep(SETTLE_SECONDS)
    page.save_screenshot(str(IMAGES / f"{name}.png"))


@contextmanager
def browser() -> Iterator[Chrome]:
    """A headless Chromium of the system."""
    driver = shutil.which("chromedriver")
    if driver is None:
        sys.exit("chromedriver is missing: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    page = Chrome(options=options, service=Service(driver))
    page.set_window_size(*SIZE)
    try:
        yield page
    finally:
        page.quit()


@contextmanager
def demo(home: Path) -> Iterator[None]:
    """`aftercall demo` after its last action, in a state directory of its own."""
    environment = {
        **os.environ,
        "AFTERCALL_HOME": str(home),
        "AFTERCALL_DAGSTER_BIND": DAGSTER.removeprefix("http://"),
        "AFTERCALL_BOARD_BIND": BOARD.removeprefix("http://"),
        "AFTERCALL_RECEIVER_BIND": RECEIVER_BIND,
    }
    program = "from orchestration.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "demo", "--calls", str(CALLS)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="")
            if "Ctrl-C" in line:
                break
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


if __name__ == "__main__":
    main()
