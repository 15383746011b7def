"""The pages in a real browser after a pass: hostile text, numbers, actions that a person retries or gives up."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote

import duckdb
import orjson
import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from sqlalchemy import delete

from integrations.board.actions import PAGE
from integrations.config import IntegrationSettings
from integrations.outbox import Action, DueAction, Outbox, dispatch, open_outbox
from integrations.outbox.engine import writing
from integrations.outbox.schema import actions
from tests.integrations.board.conftest import (
    COMPLETED,
    EMAIL,
    HOSTILE_CALL,
    PHONE,
    Worked,
    complaints,
    text_of,
    until,
)

CALL = "/calls/atoms/" + quote(HOSTILE_CALL, safe="")


def test_numbers_come_after_a_pass_without_a_reload(worked: Worked) -> None:
    assert "Completed today" not in worked.tiles_before
    assert f"Completed today {worked.completed} " in worked.tiles_after
    assert not worked.was_reloaded


def test_numbers_change_when_a_copy_is_published(worked: Worked, page: Chrome) -> None:
    page.get(worked.office.board.url)
    completed = "[data-part=numbers] .tile:nth-child(1) .num"
    until(lambda: text_of(page, completed).isdecimal(), "the numbers")
    before = int(text_of(page, completed))
    published = worked.office.installation.home / "published" / "marts.duckdb"
    fresh = Path(shutil.copy(published, published.with_suffix(".new")))
    with duckdb.connect(str(fresh)) as copy:
        for mart in ("calls", "call_outcomes"):
            copy.execute(
                f"insert into {mart} select * replace (call_key || ' again' as call_key) from {mart}"
            )
    fresh.replace(published)
    counted = worked.office.installation.mart(COMPLETED)
    until(lambda: text_of(page, completed) == str(counted[0][0]) != str(before), "the new numbers")
    assert complaints(page) == []


def test_the_feed_says_how_satisfied_a_customer_was_once_the_marts_do(worked: Worked, page: Chrome) -> None:
    page.get(worked.office.board.url)
    until(lambda: text_of(page, "#feed [data-key='analysed:atoms:second'] .length") == "★", "the star")


def test_the_page_of_numbers_is_fetched_anew_with_a_new_copy_and_not_with_every_call(
    worked: Worked, page: Chrome
) -> None:
    page.get(f"{worked.office.board.url}/numbers")
    page.execute_script(
        "const real = window.fetch; window.fetched = 0;"
        "window.fetch = (what, ...rest) => { window.fetched += what === location.href; return real(what, ...rest); }"
    )
    read_time = "return document.querySelector('#health [data-key=\"source:atoms\"] time')?.dateTime"
    for number in range(3):
        before = page.execute_script(read_time)
        worked.office.start(f"while numbers are shown {number}")
        until(partial(_is_another, page, read_time, before), "the call in the page")
    assert page.execute_script("return window.fetched") == 0
    published = worked.office.installation.home / "published" / "marts.duckdb"
    Path(shutil.copy(published, published.with_suffix(".new"))).replace(published)
    until(lambda: page.execute_script("return window.fetched") == 1, "the page to be fetched")


def _is_another(page: Chrome, script: str, before: object) -> bool:
    return bool(page.execute_script(script) != before)


def test_what_strangers_say_is_text_in_the_direction_of_its_script(worked: Worked, page: Chrome) -> None:
    page.get(worked.office.board.url + CALL)
    until(lambda: "document.title='taken'" in text_of(page, ".talk"), "the transcript")
    assert "{{7*7}}" in text_of(page, ".talk")
    directions = (
        "return [...document.querySelectorAll('.talk p')].map((said) => getComputedStyle(said).direction)"
    )
    assert page.execute_script(directions) == ["ltr", "rtl", "ltr"]
    for path in ("/", "/numbers", "/actions"):
        page.get(worked.office.board.url + path)
        assert page.find_elements(By.CSS_SELECTOR, "img") == []
        assert "aftercall" in page.title
    with open_outbox(outbox_url(worked)) as outbox:
        listed_actions = outbox.actions(limit=100)
    assert {action.channel for action in listed_actions} >= {"ticket", "chat", "crm"}
    links = "return [...document.querySelectorAll('.actions a.row')].map((link) => link.href)"
    page.get(f"{worked.office.board.url}/actions")
    addresses = page.execute_script(links)
    assert len(addresses) == len(listed_actions)
    for address in addresses:
        page.get(address)
        assert "taken" not in page.title
    assert complaints(page) == []


def test_the_page_of_a_call_has_the_contact_that_it_shares_with_others(worked: Worked, page: Chrome) -> None:
    for call_id in ("first", "second"):
        page.get(f"{worked.office.board.url}/calls/atoms/{call_id}")
        assert "CRM contact" in text_of(page, ".line")
        assert "CRM note ◇ preview" in text_of(page, ".line")


def test_the_page_of_a_call_has_its_outcome_measures_variables_and_raw_events(
    worked: Worked, page: Chrome
) -> None:
    page.get(f"{worked.office.board.url}/calls/atoms/first")
    outcome = text_of(page, ".outcome")
    for fact in ("Status completed", "Resolved ✕ no", "Satisfaction ★☆☆☆☆", "Sentiment negative"):
        assert fact in outcome
    facts = (
        "return Object.fromEntries([...document.querySelectorAll('.facts dt')]"
        ".map((name) => [name.innerText, name.nextElementSibling.innerText]))"
    )
    assert page.execute_script(facts) == {
        "satisfaction score": "1",
        "issue resolved": "false",
        "customer email": "j···@m···.com",
    }
    events = page.find_elements(By.CSS_SELECTOR, "details.raw")
    raw = {}
    for event in events:
        event.find_element(By.TAG_NAME, "summary").click()
        event_payload = orjson.loads(event.find_element(By.TAG_NAME, "pre").text)
        raw[event.text.split()[0]] = event_payload
    assert raw["call.end"]["variables"] == {"customer_email": "j···@m···.com"}
    assert raw["call.end"]["caller_phone"] == "+353 861 ··· 01"
    assert raw["analytics.completed"]["metrics"] == {"satisfaction_score": 1, "issue_resolved": False}
    assert complaints(page) == []


def test_no_phone_number_and_no_address_stands_on_any_page(worked: Worked) -> None:
    board = worked.office.board.url
    listed = requests.get(f"{board}/actions", timeout=10).text
    actions = set(re.findall(r'href="/actions/([^"?]+)"', listed))
    paths = [
        "/",
        "/parts",
        "/numbers",
        "/actions",
        "/calls/atoms/first",
        *(f"/actions/{each}" for each in actions),
    ]
    mails = []
    for path in paths:
        answer = requests.get(board + path, timeout=10)
        assert answer.ok, path
        mails += re.findall(r'src="(/mail/[^"]+)"', answer.text)
        for secret in (PHONE.removeprefix("+353"), EMAIL, EMAIL.replace("@", "%40")):
            assert secret not in answer.text, path
    assert len(mails) == 2
    assert not any(EMAIL in requests.get(board + mail, timeout=10).text for mail in mails)


@dataclass(frozen=True)
class Dead:
    """A mail that nobody can send, its first try behind it, and where it is."""

    worked: Worked
    outbox: Outbox
    key: str

    def now(self) -> Action:
        action = self.outbox.action(self.key)
        assert action is not None
        return action

    def operate(self, page: Chrome, what: str, who: str) -> None:
        """Ask for it in the list of actions, by keyboard, and say yes."""
        page.find_element(By.CSS_SELECTOR, f"summary[data-what={what}]").send_keys(Keys.ENTER)
        name = page.find_element(By.CSS_SELECTOR, "details[open] input[name=who]")
        name.clear()
        name.send_keys(who)
        page.find_element(By.CSS_SELECTOR, "details[open] button").click()
        until(lambda: text_of(page, ".done"), "the confirmation")

    def recorded(self) -> list[tuple[str, str]]:
        return [(entry.did, entry.by) for entry in self.outbox.interventions(self.key)]


@pytest.fixture
def dead(worked: Worked, request: pytest.FixtureRequest) -> Iterator[Dead]:
    settings = IntegrationSettings(home=worked.office.installation.home)
    now, key = datetime.now(UTC), f"follow_up_email:atoms:{request.node.name}"
    payload = {"template": "no_such_words", "to_address": "jo@example.com", "customer_name": "Jo"}
    with open_outbox(settings.outbox_url) as outbox:
        outbox.enqueue(
            [DueAction(key, "email", "follow_up_email", "atoms", "typo", payload, now)], now, settings
        )
        dispatch(outbox, "email", settings)
        yield Dead(worked, outbox, key)
        outbox.give_up(key, by="the test")


def test_an_action_is_retried_by_a_click_and_the_record_names_who(dead: Dead, page: Chrome) -> None:
    page.get(dead.worked.office.board.url)
    until(lambda: "failed" in text_of(page, "#after .counts .bad"), "the mail that failed")
    page.get(f"{dead.worked.office.board.url}/actions?status=failed")
    dead.operate(page, "retry", "Anna")
    assert "tried again" in text_of(page, ".done")
    assert "retry by Anna (as typed)" in text_of(page, ".line")
    assert dead.now().status == "pending"
    assert dead.recorded() == [("retry", "Anna (as typed)")]
    assert complaints(page) == []


def test_an_action_is_given_up_by_a_click_and_the_record_names_who(dead: Dead, page: Chrome) -> None:
    dead.outbox.retry(dead.key)
    page.get(f"{dead.worked.office.board.url}/actions?status=waiting&channel=email")
    dead.operate(page, "give_up", "Zoë <b>")
    assert "given up" in text_of(page, ".done")
    assert "give-up by Zoë <b> (as typed)" in text_of(page, ".line")
    assert (dead.now().status, dead.now().last_error) == ("dead", "given up by Zoë <b> (as typed)")
    assert dead.recorded()[-1] == ("give-up", "Zoë <b> (as typed)")
    assert page.find_elements(By.CSS_SELECTOR, "summary[data-what=give_up]") == []
    assert complaints(page) == []


def test_a_form_that_is_not_the_boards_own_or_names_nobody_changes_nothing(dead: Dead, page: Chrome) -> None:
    url = f"{dead.worked.office.board.url}/operate/retry/{dead.key}"
    page.get(f"{dead.worked.office.board.url}/actions?status=failed")
    token = page.find_element(By.NAME, "token").get_attribute("value")
    for form in (
        {"who": "eve"},
        {"who": "eve", "token": "0" * 64},
        {"token": token},
        {"who": " ", "token": token},
    ):
        assert requests.post(url, data=form, timeout=10).status_code == 403
    assert requests.get(url, timeout=10).status_code == 405
    assert dead.now().status == "dead"
    assert dead.recorded() == []


@pytest.fixture
def many(worked: Worked) -> Iterator[list[str]]:
    """Titles of more tickets than a page holds, the last changed first: half of them of yesterday."""
    settings = IntegrationSettings(home=worked.office.installation.home)
    titles = [f"Ticket number {number}." for number in range(PAGE + 10)]
    now, half = datetime.now(UTC), len(titles) // 2
    with open_outbox(settings.outbox_url) as outbox:
        for at, part in ((now - timedelta(hours=20), titles[:half]), (now, titles[half:])):
            due = [
                DueAction(f"ticket:many:{title}", "ticket", "ticket", "many", title, {"title": title}, at)
                for title in part
            ]
            outbox.enqueue(due, at, settings)
        yield titles[::-1]
        with writing(outbox.engine) as write:
            write.connection.execute(delete(actions).where(actions.c.source == "many"))


def test_the_list_of_actions_has_pages_and_a_filter_by_time(
    worked: Worked, page: Chrome, many: list[str]
) -> None:
    def listed() -> list[str]:
        lines = page.find_elements(By.CSS_SELECTOR, ".actions .sub")
        return [title for each in lines if (title := each.text.partition(" · ")[2]) in many]

    page.get(f"{worked.office.board.url}/actions?channel=ticket&status=waiting")
    first = listed()
    assert len(first) == PAGE
    assert page.find_elements(By.CSS_SELECTOR, "a[rel=prev]") == []
    page.find_element(By.CSS_SELECTOR, "a[rel=next]").click()
    until(lambda: text_of(page, "a[rel=prev]"), "the second page")
    assert sorted([*first, *listed()]) == sorted(many), "each action on one page"
    assert set(listed()) < set(many[len(many) // 2 :]), "the last changed first"
    assert page.find_elements(By.CSS_SELECTOR, "a[rel=next]") == []
    Select(page.find_element(By.NAME, "time")).select_by_visible_text("in the last hour")
    until(lambda: "time=hour" in page.current_url, "the filter")
    assert sorted(listed()) == sorted(many[: len(many) // 2])
    assert Select(page.find_element(By.NAME, "channel")).first_selected_option.text == "ticket"
    assert complaints(page) == []


def outbox_url(worked: Worked) -> str:
    return IntegrationSettings(home=worked.office.installation.home).outbox_url
