"""The first page in a real browser while calls go on, the stream is blocked, and the board goes away."""

import shlex
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.conftest import Installation, free_port
from tests.integrations.board.conftest import Board, Office, complaints, text_of, until


def test_a_call_starts_shows_ends_and_leaves_without_a_reload(office: Office, page: Chrome) -> None:
    page.get(office.board.url)
    page.execute_script("window.isSamePage = true")
    row = "#active [data-key='atoms:one']"
    office.start("one")
    until(lambda: "+1 202 ··· 43" in text_of(page, row), "the call")
    assert "inbound · agent_nora" in text_of(page, row)
    clock = text_of(page, f"{row} .clock")
    until(lambda: text_of(page, f"{row} .clock") != clock, "the clock to run")
    office.post("call.end", "one")
    until(lambda: not text_of(page, row), "the call to leave")
    until(lambda: "ended" in text_of(page, "#feed [data-key='ended:atoms:one']"), "the end in the feed")
    assert page.execute_script("return window.isSamePage")
    assert complaints(page) == []


def test_what_was_amber_is_not_when_the_news_is_good(office: Office, page: Chrome) -> None:
    page.get(office.board.url)
    until(lambda: text_of(page, "#health > span"), "the page")
    page.execute_script("document.querySelector('#health > span').className = 'soon'")
    office.start("good news")
    until(lambda: not page.find_elements(By.CSS_SELECTOR, "#health > span.soon"), "the colour to go")


def test_an_empty_board_shows_how_to_send_a_call_as_it_can_be_pasted(
    office: Office, page: Chrome, tmp_path: Path
) -> None:
    receiver = {"AFTERCALL_RECEIVER_BIND": f"127.0.0.1:{office.installation.port}"}
    with Board(Installation(tmp_path / "home", free_port()), receiver) as empty:
        page.get(empty.url)
        until(lambda: "Nobody is on the line" in text_of(page, "#active"), "an empty board")
        assert "no event yet" in text_of(page, "#health")
        assert "first published build" in text_of(page, ".tiles")
        line = str(page.find_element(By.CSS_SELECTOR, "#feed .code").text)
        assert complaints(page) == []
    if shutil.which("curl") is None:
        pytest.skip("needs the curl command: make systems")
    pasted = subprocess.run(["sh", "-c", line], capture_output=True, check=True, timeout=30)
    assert orjson.loads(pasted.stdout)["status"] == "accepted", shlex.quote(line)


Lost = tuple[str, dict[str, object], str, dict[str, object]]
BLOCKED: Lost = ("Network.setBlockedURLs", {"urls": ["*/stream"]}, "Network.setBlockedURLs", {"urls": []})
SWALLOWED: Lost = ("Fetch.enable", {"patterns": [{"urlPattern": "*/stream"}]}, "Fetch.disable", {})
"""Every request for the stream waits for an answer that nobody gives, as behind a proxy that gathers it first."""


@pytest.mark.parametrize("lost", [BLOCKED, SWALLOWED], ids=["blocked", "swallowed"])
def test_where_the_stream_does_not_come_the_page_asks_instead(
    office: Office, page: Chrome, lost: Lost
) -> None:
    page.execute_cdp_cmd("Network.enable", {})
    page.execute_cdp_cmd(*lost[:2])
    try:
        page.get(office.board.url)
        before = text_of(page, "#active")
        office.start(f"asked for {uuid4()}", "+353861234577")
        until(lambda: "··· 77" in text_of(page, "#active") != before, "the call")
        until(lambda: not page.find_element(By.ID, "lost").is_displayed(), "the page to be sure")
    finally:
        page.execute_cdp_cmd(*lost[2:])


def test_a_board_that_went_away_says_so_and_comes_back_by_itself(office: Office, page: Chrome) -> None:
    page.get(office.board.url)
    until(lambda: text_of(page, "#health"), "the page")
    office.board.__exit__()
    until(lambda: "Not connected" in text_of(page, "#lost"), "the page to say so")
    office.start("meanwhile", "+493025551299")
    office.board.__enter__()
    until(lambda: "··· 99" in text_of(page, "#active"), "what happened meanwhile", 40)
    until(lambda: not page.find_element(By.ID, "lost").is_displayed(), "the page to be sure again")
