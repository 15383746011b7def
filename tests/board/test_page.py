"""The page in a real browser, over a receiver and a board that really run."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from integrations.config import IntegrationSettings
from integrations.outbox import DueAction, Outbox, dispatch, open_outbox
from tests.board.conftest import Office, until

HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>\u202e{{7*7}}"


def text_of(page: Chrome, selector: str) -> str:
    """The text that is seen there, with single spaces."""
    found = page.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    return " ".join(str(found).split())


@pytest.fixture
def quiet(page: Chrome) -> Chrome:
    """The page, and after the test nothing in its console: no refused script, no error."""
    page.get_log("browser")  # type: ignore[no-untyped-call]
    return page


def complaints(page: Chrome) -> list[str]:
    return [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"]  # type: ignore[no-untyped-call]


def test_a_call_starts_shows_ends_and_leaves_without_a_reload(office: Office, quiet: Chrome) -> None:
    quiet.get(office.board.url)
    until(lambda: "Nobody is on the line" in text_of(quiet, "#active"), "an empty board")
    assert "curl" in text_of(quiet, "#feed")
    quiet.execute_script("window.unloaded = false")
    office.start("one")
    until(lambda: "+1 202 ··· 43" in text_of(quiet, "#active"), "the call")
    assert "agent_nora" in text_of(quiet, "#active")
    assert "inbound" in text_of(quiet, "#active")
    clock = text_of(quiet, "#active .clock")
    until(lambda: text_of(quiet, "#active .clock") != clock, "the clock to run")
    office.post("call.end", "one")
    until(lambda: "Nobody is on the line" in text_of(quiet, "#active"), "the call to leave")
    assert "ended" in text_of(quiet, "#feed")
    assert quiet.execute_script("return window.unloaded") is False
    assert complaints(quiet) == []


def test_what_strangers_say_is_text_and_nothing_else(office: Office, quiet: Chrome) -> None:
    office.post(
        "call.end",
        "hostile/../<b>&",
        duration_seconds=5,
        caller_phone=HOSTILE,
        disposition="unresolved",
        transcript=[
            {"role": "customer", "content": HOSTILE},
            {"role": "agent", "content": "שלום, מה שלומך?"},
        ],
        variables={"customer_name": HOSTILE, "issue_type": HOSTILE},
    )
    office.post(
        "analytics.completed", "hostile/../<b>&", metrics={"satisfaction_score": 1, "summary": HOSTILE}
    )
    quiet.get(office.board.url)
    until(lambda: "first published build" in text_of(quiet, ".tiles"), "a page without numbers")
    office.installation.aftercall("run")
    until(lambda: "Satisfaction 1.0" in text_of(quiet, ".tiles"), "the numbers")
    quiet.get(f"{office.board.url}/calls/atoms/hostile%2F..%2F%3Cb%3E%26")
    until(lambda: "document.title='taken'" in text_of(quiet, ".talk"), "the transcript")
    assert "{{7*7}}" in text_of(quiet, ".talk")
    for path in ("/", "/numbers", "/actions"):
        quiet.get(office.board.url + path)
        assert quiet.find_elements(By.CSS_SELECTOR, "img") == []
        assert "aftercall" in quiet.title
    with open_outbox(f"sqlite:///{office.installation.home / 'outbox.sqlite'}") as outbox:
        made = outbox.actions(limit=100)
    assert {action.channel for action in made} >= {"ticket", "slack", "crm"}
    quiet.get(f"{office.board.url}/actions")
    assert len(quiet.find_elements(By.CSS_SELECTOR, "a.row")) == len(made)
    for link in [row.get_attribute("href") for row in quiet.find_elements(By.CSS_SELECTOR, "a.row")]:
        quiet.get(str(link))
        assert "taken" not in quiet.title
    assert complaints(quiet) == []


def test_an_action_is_retried_by_a_click_and_the_record_names_who(office: Office, quiet: Chrome) -> None:
    settings = IntegrationSettings(home=office.installation.home)
    with open_outbox(settings.outbox_url) as outbox:
        key = dead_mail(outbox, settings)
        quiet.get(office.board.url)
        until(lambda: "1 dead" in text_of(quiet, "#after"), "the dead mail")
        requests.post(f"{office.board.url}/operate/retry/{key}", data={"who": "eve"}, timeout=10)
        forged = {"who": "eve", "token": "0" * 64}
        assert (
            requests.post(f"{office.board.url}/operate/retry/{key}", data=forged, timeout=10).status_code
            == 403
        )
        before = outbox.action(key)
        assert before is not None
        assert before.status == "dead"
        quiet.get(f"{office.board.url}/actions?status=dead")
        quiet.find_element(By.CSS_SELECTOR, "summary[data-what=retry]").send_keys(Keys.ENTER)
        quiet.find_element(By.CSS_SELECTOR, "details[open] input[name=who]").send_keys("Anna")
        quiet.find_element(By.CSS_SELECTOR, "details[open] button").click()
        until(lambda: "tried again" in text_of(quiet, ".done"), "the confirmation")
        assert "retry asked by Anna" in text_of(quiet, ".line")
        after = outbox.action(key)
        assert after is not None
        assert after.status == "pending"
    assert complaints(quiet) == []


def dead_mail(outbox: Outbox, settings: IntegrationSettings) -> str:
    """A mail that nobody can send, tried once."""
    now, key = datetime.now(UTC), "follow_up_email:atoms:typo"
    payload = {"template": "thank_you", "to_address": "jo at example", "customer_name": "Jo"}
    outbox.fill([DueAction(key, "email", "follow_up_email", "atoms", "typo", payload, now)], now, settings)
    dispatch(outbox, "email", settings)
    return key


def test_numbers_change_when_a_copy_is_published_without_a_reload(office: Office, quiet: Chrome) -> None:
    quiet.get(office.board.url)
    completed = "[data-part=numbers] .tile:nth-child(2) .num"
    until(lambda: text_of(quiet, completed).isdecimal(), "the numbers")
    before = int(text_of(quiet, completed))
    published = office.installation.home / "published" / "marts.duckdb"
    fresh = Path(shutil.copy(published, published.with_suffix(".new")))
    with duckdb.connect(str(fresh)) as copy:
        copy.execute(
            "insert into calls select * replace (call_key || '2' as call_key) from calls where has_end"
        )
    fresh.replace(published)
    counted = office.installation.mart(
        "select count(*) from calls where status = 'completed' and call_date = current_date"
    )
    until(lambda: text_of(quiet, completed) == str(counted[0][0]) != str(before), "the new numbers")
    assert complaints(quiet) == []


def test_where_the_stream_is_blocked_the_page_asks_instead(office: Office, quiet: Chrome) -> None:
    quiet.execute_cdp_cmd("Network.enable", {})
    quiet.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/stream"]})
    try:
        quiet.get(office.board.url)
        office.start("asked", "+353861234577")
        until(lambda: "··· 77" in text_of(quiet, "#active"), "the call")
        until(lambda: not quiet.find_element(By.ID, "lost").is_displayed(), "the page to be sure")
    finally:
        quiet.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})


def test_a_board_that_went_away_says_so_and_comes_back_by_itself(office: Office, quiet: Chrome) -> None:
    quiet.get(office.board.url)
    until(lambda: text_of(quiet, "#health"), "the page")
    office.board.__exit__()
    until(lambda: "Not connected" in text_of(quiet, "#lost"), "the page to say so")
    office.start("meanwhile", "+493025551299")
    office.board.__enter__()
    until(lambda: "··· 99" in text_of(quiet, "#active"), "what happened meanwhile", 40)
    until(lambda: not quiet.find_element(By.ID, "lost").is_displayed(), "the page to be sure again")
