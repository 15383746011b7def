"""How soon a browser paints the board's first page, with as many calls on the line as it lists.

What is on the page belongs to `tests/board`; what a restart or many viewers cost to `tests.bench.bench_board`.
"""

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from integrations.board.home_token import home_token
from receiver.config import Home
from receiver.envelope import Facts, line, seal
from tests.bench.bench_board import running_board
from tests.bench.record import Result, against
from tests.homes import landing_of

CALLS = 60
LOADS = 20
AIM_MILLISECONDS = 200.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
)
_PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def run() -> list[Result]:
    """The median of some loads, each with an empty cache; nothing where there is no browser."""
    driver = shutil.which("chromedriver")
    if driver is None:
        print("no chromedriver, so no first paint: apt-get install chromium chromium-driver")
        return []
    with tempfile.TemporaryDirectory() as folder:
        _call(Path(folder))
        with running_board(Path(folder)) as board, _browser(driver) as page:
            board.until_live(f"Active now {CALLS}")
            page.get(f"{board.url}/?token={home_token(Home(home=board.home))}")
            paints = [_first_paint(page, board.url) for _ in range(LOADS)]
    note = f"slowest of {LOADS}: {max(paints):.0f} ms; {CALLS} calls on the line; baseline: the aim"
    return [against("board: first paint, median", statistics.median(paints), "ms", AIM_MILLISECONDS, note)]


def _first_paint(page: Chrome, url: str) -> float:
    """Milliseconds from the start of the navigation."""
    page.execute_cdp_cmd("Network.clearBrowserCache", {})
    page.get(url)
    return float(WebDriverWait(page, 20).until(lambda driver: driver.execute_script(_PAINTED)))


def _call(home: Path) -> None:
    """Calls that have just started."""
    store, now = landing_of(home), datetime.now(UTC)
    for number in range(CALLS):
        facts = Facts(
            event_type="call.start", call_id=f"call-{number}", occurred_at=now, customer_phone="+12025550143"
        )
        store.append([line(seal("atoms", facts, b"{}", now), b"{}")])
    store.close()


@contextmanager
def _browser(driver: str) -> Iterator[Chrome]:
    options = ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    page = Chrome(options=options, service=Service(driver))
    try:
        yield page
    finally:
        page.quit()
