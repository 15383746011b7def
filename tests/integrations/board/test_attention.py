"""The list of what needs attention, on a board whose receiver comes and goes; and nothing is clear that is not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import requests

from integrations.config import IntegrationSettings
from integrations.errors import DestinationUnavailable, Unreachable
from integrations.outbox import DueAction, Finding, Outbox, circuit_breaker, dispatch, open_outbox
from tests.conftest import Installation, Receiver, free_port
from tests.integrations.board.conftest import Board, until


@dataclass(frozen=True)
class Signed(Installation):
    """An installation whose receiver wants Atoms' webhooks signed."""

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(AFTERCALL_SECRET_ATOMS="whsec-example", **more)


@dataclass
class Desk:
    """A board over an installation whose receiver is not running yet."""

    board: Board
    outbox: Outbox
    settings: IntegrationSettings
    refused: int = field(default=0)

    def text(self) -> str:
        return " ".join(re.sub("<[^>]+>", " ", self.board.part("attention")).split())

    def until(self, *words: str) -> str:
        """Wait for words in the list; the whole of it."""
        until(lambda: all(word in self.text() for word in words), f"{words} in {self.text()}")
        return self.text()

    def look(self, *findings: Finding, at: datetime | None = None) -> None:
        """A look for problems as the upper floor takes it, which saw these."""
        now = at or datetime.now(UTC)
        seen = [*self.outbox.findings(self.settings, now), *findings]
        self.outbox.reconcile(seen, self.settings, now)
        self.outbox.record_look(now, seen, {})


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    installation = Signed(tmp_path_factory.mktemp("desk") / "home", free_port())
    settings = IntegrationSettings(home=installation.home)
    with Board(installation) as board, open_outbox(settings.outbox_url) as outbox:
        yield Desk(board, outbox, settings)


@pytest.fixture(scope="module")
def receiver(desk: Desk) -> Iterator[Receiver]:
    with Receiver(desk.board.of) as started:
        yield started


def test_a_receiver_that_is_down_and_that_nobody_looks_is_reported(desk: Desk) -> None:
    shown = desk.until("Needs attention", "The receiver does not answer", "Nobody looks for problems")
    assert "aftercall up" in shown
    assert "All clear" not in shown
    assert "receiver takes no events" in desk.board.part("health")


def test_all_is_clear_only_when_the_receiver_answers_and_somebody_looked(
    desk: Desk, receiver: Receiver
) -> None:
    desk.until("Nobody looks for problems")
    until(lambda: "receiver" not in desk.text(), "the receiver to be heard")
    assert "All clear" not in desk.text()
    desk.look()
    desk.until("All clear.")
    desk.look(at=datetime.now(UTC) - timedelta(minutes=6))
    assert "The last look was at" in desk.until("Nobody looks for problems")
    desk.look()
    desk.until("All clear.")


@pytest.mark.parametrize(
    ("error", "symbol"),
    [(DestinationUnavailable("401. Look at AFTERCALL_REDMINE_KEY"), "✕"), (Unreachable("503"), "◐")],
)
def test_a_destination_that_stopped_is_reported_with_its_remedy_and_its_next_try(
    desk: Desk, receiver: Receiver, error: DestinationUnavailable | Unreachable, symbol: str
) -> None:
    desk.look()
    now, key = datetime.now(UTC), f"ticket:atoms:{symbol}"
    settings = replace_destination(desk.settings)
    due = DueAction(key, "ticket", "ticket", "atoms", symbol, {"title": "A ticket"}, now)
    desk.outbox.enqueue([due], now, settings)
    circuit_breaker.pause(desk.outbox.engine, "ticket", "redmine", error, now, settings)
    try:
        shown = desk.until("The ticket channel has stopped at redmine", str(error), "next try")
        assert f"{symbol} The ticket channel" in shown
        assert "aftercall actions resume ticket" in shown
        assert "All clear" not in shown
        page = requests.get(f"{desk.board.url}/actions/{key}", timeout=10).text
        assert "It waits. redmine has stopped" in page
        assert str(error) in page
        resume(desk)
        desk.until("All clear.")
    finally:
        desk.outbox.give_up(key, by="the test")


def resume(desk: Desk) -> None:
    """Press the button of the list of actions; without the page's own token it does nothing."""
    url = f"{desk.board.url}/resume/ticket/redmine"
    page = requests.get(f"{desk.board.url}/actions?channel=ticket", timeout=10).text
    assert "Try again now" in page
    assert "Try again now" not in requests.get(f"{desk.board.url}/actions?channel=crm", timeout=10).text
    assert requests.post(url, data={"token": "0" * 64}, timeout=10).status_code == 403
    assert desk.outbox.pauses() != []
    token = re.findall('name="token" value="([^"]+)"', page)[0]
    answer = requests.post(url, data={"token": token}, timeout=10)
    assert "It is tried again" in answer.text
    assert desk.outbox.pauses() == []


def replace_destination(settings: IntegrationSettings) -> IntegrationSettings:
    return settings.model_copy(update={"tickets": "redmine"})


def test_what_only_the_floor_above_can_see_is_reported_with_the_next_try(
    desk: Desk, receiver: Receiver
) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=4)
    words = (
        "raw/call_events:runs_succeed",
        "Runs of after_call_pass fail",
        "3 in a row, at models",
        "Open the run",
    )
    failing = Finding("runs:after_call_pass", *words, next_try_at=soon)
    paused = Finding("paused:crm", "x:y", "The crm channel is switched off", "crm_sensor is off", "Switch it on",
                     alert_after=timedelta(minutes=30))  # fmt: skip
    desk.look(failing, paused)
    shown = desk.until("✕ Runs of after_call_pass fail", "◐ The crm channel is switched off")
    for words_of_it in ("3 in a row, at models", "Open the run", "crm_sensor is off", "Switch it on"):
        assert words_of_it in shown
    assert soon.isoformat() in desk.board.part("attention")
    assert "All clear" not in shown
    desk.look()
    desk.until("All clear.")


def test_what_failed_is_red_until_a_person_closes_it(desk: Desk, receiver: Receiver) -> None:
    desk.look()
    now, key = datetime.now(UTC), "follow_up_email:atoms:typo"
    payload = {"template": "no_such_words", "to_address": "jo@example.com", "customer_name": "Jo"}
    desk.outbox.enqueue(
        [DueAction(key, "email", "follow_up_email", "atoms", "typo", payload, now)], now, desk.settings
    )
    dispatch(desk.outbox, "email", desk.settings)
    shown = desk.until("Actions of the email channel have failed", "aftercall actions retry")
    assert "All clear" not in shown
    assert "failed" in desk.board.part("after")
    assert "✕" in desk.board.part("health")
    desk.outbox.give_up(key, by="Grace")
    desk.until("All clear.")
    until(lambda: "closed" in desk.board.part("after"), "the closed action")
    for part in ("after", "health", "attention"):
        assert "bad" not in desk.board.part(part)
    page = requests.get(f"{desk.board.url}/actions/{key}", timeout=10).text
    assert "closed" in page
    assert 'class="bad"' not in page
    assert quote(key) in requests.get(f"{desk.board.url}/actions?status=closed", timeout=10).text
    assert quote(key) not in requests.get(f"{desk.board.url}/actions?status=failed", timeout=10).text


def test_what_a_preview_stored_does_not_count_as_sent(desk: Desk, receiver: Receiver) -> None:
    now, key = datetime.now(UTC), "follow_up_email:atoms:kept"
    payload = {"template": "thank_you", "to_address": "jo@mail.example.com", "customer_name": "Jo"}
    desk.outbox.enqueue(
        [DueAction(key, "email", "follow_up_email", "atoms", "kept", payload, now)], now, desk.settings
    )
    dispatch(desk.outbox, "email", desk.settings)
    until(lambda: "preview" in desk.board.part("after"), "the preview")
    email = desk.board.part("after").partition('data-key="email"')[2].partition("</li>")[0]
    assert "sent" not in re.sub("<[^>]+>", "", email)
    page = requests.get(f"{desk.board.url}/actions/{key}", timeout=10).text
    assert "sent" not in re.sub("<[^>]+>", " ", page).partition("What happened")[0]
    assert quote(key) in requests.get(f"{desk.board.url}/actions?status=preview", timeout=10).text
    assert quote(key) not in requests.get(f"{desk.board.url}/actions?status=sent", timeout=10).text


def test_webhooks_that_are_refused_are_reported_with_the_setting_to_look_at(
    desk: Desk, receiver: Receiver
) -> None:
    desk.look()
    for _ in range(3):
        answer = requests.post(
            f"{desk.board.of.url}/webhooks/atoms", json={"event": "call.start"}, timeout=10
        )
        assert answer.status_code == 401
    shown = desk.until("Webhooks of atoms are refused", "AFTERCALL_SECRET_ATOMS")
    assert "3 refused, 0 accepted" in shown
    assert "All clear" not in shown
