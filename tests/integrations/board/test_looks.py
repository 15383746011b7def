"""That everybody can use the pages: axe's judgement in light and dark, at a desk and on a phone; keyboard; weight."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from integrations.board.actions import reference
from integrations.config import IntegrationSettings
from integrations.outbox import open_outbox
from tests.integrations.board.conftest import HOSTILE_CALL, Worked, text_of, until

AXE = Path(__file__).parents[3] / ".venv/node_modules/axe-core/axe.min.js"
DESK, PHONE = (1400, 900), (390, 844)
LARGEST_BYTES = 60_000
_RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {iframes: false, resultTypes: ["violations"]}).then((found) => done(found.violations), done);
"""


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        pytest.skip("needs the npm package axe-core: make systems, then make suites")
    return AXE.read_text()


@pytest.fixture(scope="module")
def paths(worked: Worked) -> list[str]:
    """The main states: each page with something on it, what waits for a yes, and an error."""
    worked.office.start("on the line")
    until(lambda: "atoms:on the line" in worked.office.board.part("active"), "a call on the line")
    with open_outbox(IntegrationSettings(home=worked.office.installation.home).outbox_url) as outbox:
        actions = {action.channel: action.action_key for action in outbox.actions(limit=100)}
    of_actions = [f"/actions/{quote(reference(key), safe='')}" for key in actions.values()]
    return [
        "/",
        "/numbers",
        "/actions",
        f"/calls/atoms/{quote(HOSTILE_CALL, safe='')}",
        "/nowhere",
        *of_actions,
    ]


@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE)]
)
def test_axe_finds_no_serious_problem(
    worked: Worked, page: Chrome, axe: str, paths: list[str], theme: str, size: tuple[int, int]
) -> None:
    look(page, theme, size)
    problems = {}
    for path in paths:
        page.get(worked.office.board.url + path)
        for summary in page.find_elements(By.CSS_SELECTOR, ".operate summary")[:1]:
            summary.click()
        page.execute_script(axe)
        for problem in page.execute_async_script(_RUN):
            if problem["impact"] in ("serious", "critical"):
                problems[f"{path}: {problem['id']}"] = [node["html"] for node in problem["nodes"]]
    assert problems == {}


@pytest.mark.parametrize("size", [DESK, PHONE, (1920, 1080)])
def test_nothing_is_wider_than_the_screen(
    worked: Worked, page: Chrome, paths: list[str], size: tuple[int, int]
) -> None:
    look(page, "light", size)
    for path in paths:
        page.get(worked.office.board.url + path)
        widths = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1] == size[0], path


def test_the_keyboard_reaches_the_content_and_the_tabs(worked: Worked, page: Chrome) -> None:
    look(page, "light", PHONE)
    page.get(worked.office.board.url)
    page.switch_to.active_element.send_keys(Keys.TAB)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "main"
    page.find_element(By.ID, "tab-active").send_keys(Keys.ARROW_RIGHT)
    assert page.switch_to.active_element.get_attribute("id") == "tab-feed"
    assert page.find_element(By.ID, "feed").is_displayed()
    assert not page.find_element(By.ID, "active").is_displayed()


def test_everything_together_is_light(worked: Worked, page: Chrome) -> None:
    page.execute_cdp_cmd("Network.clearBrowserCache", {})
    page.get(worked.office.board.url)
    until(lambda: text_of(page, "#health"), "the page")
    sizes: dict[str, Any] = page.execute_script(
        "return Object.fromEntries([...performance.getEntriesByType('navigation'), "
        "...performance.getEntriesByType('resource')].map((part) => [part.name, part.decodedBodySize]))"
    )
    assert all(name.startswith(worked.office.board.url) for name in sizes)
    assert {name.rpartition("/")[2] for name in sizes} >= {"", "board.css", "board.js"}
    assert sum(sizes.values()) < LARGEST_BYTES, sizes


def look(page: Chrome, theme: str, size: tuple[int, int]) -> None:
    """Make the browser a device; without motion, since a colour on its way is none to judge."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [
        {"name": "prefers-color-scheme", "value": theme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
