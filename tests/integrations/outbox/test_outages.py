"""Outages of hours, systems that refuse everybody, and what never reached a system: who pays for what."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import (
    DestinationUnavailable,
    RateLimited,
    Rejected,
    TransientError,
    Unreachable,
    Unsendable,
)
from integrations.outbox import Outbox, dispatch, open_outbox
from tests.integrations import servers
from tests.integrations.examples import NOW, Register, email, slack, ticket
from tests.integrations.servers import Answer, Request, says

Settings = Callable[..., IntegrationSettings]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OUTAGES: dict[str, list[Exception]] = {
    "500 alone": [Unreachable("500", is_answered=True)],
    "502 alone": [Unreachable("502", may_be_done=True, is_answered=True)],
    "no answer": [Unreachable("silent", may_be_done=True)],
    "no connection": [ConnectionRefusedError("refused")],
    "three 503 and a 500": [*[Unreachable("503")] * 3, Unreachable("500", is_answered=True)],
    "everything in turn": [
        Unreachable("503"), RateLimited("429"), Unreachable("504", may_be_done=True, is_answered=True),
        Unreachable("silent", may_be_done=True), ConnectionResetError("reset"), DestinationUnavailable("401"),
    ],
    "a lock at times": [Unreachable("503"), Unreachable("503"), TransientError("423")],
}  # fmt: skip


class Away(Register):
    """A register that fails in turn with what it is given; one that cannot be asked has no `find`."""

    def __init__(self, path: Path, errors: list[Exception], *, can_be_asked: bool = True) -> None:
        super().__init__(path, self._fail)
        self.errors: Iterator[Exception] | None = cycle(errors)
        self.can_be_asked, self.knocks = can_be_asked, 0

    def find(self, delivery: Delivery) -> str | None:
        return super().find(delivery) if self.can_be_asked else None

    def knock(self) -> None:
        if self.errors is not None:
            raise Unreachable("nobody answers")

    def _fail(self, _: Delivery) -> None:
        self.knocks += 1
        if self.errors is not None:
            raise next(self.errors)


def passes(
    outbox: Outbox,
    channel: str,
    settings: IntegrationSettings,
    desk: Register,
    start: datetime,
    until: datetime,
) -> datetime:
    """Passes whenever there is something to do; returns the moment after the last."""
    now = start
    while now < until:
        report = dispatch(outbox, channel, settings, now=now, destination=desk)
        if not report.waiting:
            break
        later = [
            moment for moment in (report.next_attempt_at, report.paused_until) if moment and moment > now
        ]
        now = now + timedelta(seconds=1) if report.due or not later else min(later)
    return now


@pytest.mark.parametrize("asked", [True, False], ids=["can be asked", "cannot be asked"])
@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("count", [1, 12])
def test_eight_hours_of_any_outage_lose_nothing(tmp_path: Path, outage: str, count: int, asked: bool) -> None:
    settings = IntegrationSettings(home=tmp_path, outbox_url=f"sqlite:///{tmp_path}/outbox.sqlite")
    desk = Away(tmp_path / "r", OUTAGES[outage], can_be_asked=asked)
    with open_outbox(settings.outbox_url) as outbox:
        outbox.enqueue([ticket(str(number)) for number in range(count)], NOW, settings)
        now = passes(outbox, "ticket", settings, desk, NOW, NOW + 8 * HOUR)
        assert {action.status for action in outbox.actions()} <= {"pending", "retrying"}
        assert {action.failures for action in outbox.actions()} <= {0, 1, 2}
        desk.errors = None
        passes(outbox, "ticket", settings, desk, now, now + 8 * HOUR)
        assert [action.status for action in outbox.actions()] == ["sent"] * count
        assert sorted(key for _, key in desk.did()) == sorted(f"ticket:atoms:{n}" for n in range(count))


def test_one_action_that_breaks_its_system_is_dead_while_the_others_go_out(
    outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(retry_max_attempts=4, retry_base_seconds=1)

    def fails(delivery: Delivery) -> None:
        if delivery.call_id == "bad":
            raise Unreachable("500", is_answered=True)

    desk, now = Register(tmp_path / "r", fails), NOW
    outbox.enqueue([ticket("bad")], NOW, settings)
    for number in range(12):
        outbox.enqueue([ticket(str(number))], now, settings)
        dispatch(outbox, "ticket", settings, now=now, destination=desk)
        now += 20 * MINUTE
    bad = outbox.action(ticket("bad").action_key)
    assert bad is not None
    assert (bad.status, bad.failures) == ("dead", 4)
    assert len(desk.did()) == 12


def test_a_required_field_costs_nothing_and_all_go_out_when_it_is_mended(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    is_mended = False

    def fails(delivery: Delivery) -> None:
        if not is_mended or delivery.call_id == "7":
            raise Rejected("422: Cost centre cannot be blank" if not is_mended else "422: this one")

    desk = Register(tmp_path / "r", fails)
    outbox.enqueue([ticket(str(number)) for number in range(25)], NOW, settings)
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=desk)
    assert (report.waiting, len(outbox.pauses())) == (25, 1)
    now = passes(outbox, "ticket", settings, desk, NOW, NOW + 8 * HOUR)
    assert {action.status for action in outbox.actions()} == {"pending"}
    # A probe is no attempt: the row that stopped the destination was ten.
    assert sum(action.attempts for action in outbox.actions()) == 10
    is_mended = True
    passes(outbox, "ticket", settings, desk, now, now + HOUR)
    states = {action.call_id: action.status for action in outbox.actions()}
    assert states.pop("7") == "dead"
    assert set(states.values()) == {"sent"}
    assert len(desk.did()) == 24


def test_refusals_beside_successes_are_their_own(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    def fails(delivery: Delivery) -> None:
        if int(delivery.call_id or 0) % 9:
            raise Rejected("422")

    outbox.enqueue([ticket(str(number)) for number in range(30)], NOW, settings)
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=Register(tmp_path / "r", fails))
    assert (report.sent, report.dead, outbox.pauses()) == (4, 26, [])


@pytest.mark.parametrize("error", [Unsendable("no address")])
def test_what_never_reached_the_system_stops_nobody(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, error: Exception
) -> None:
    def fails(delivery: Delivery) -> None:
        if int(delivery.call_id or 0) < 12:
            raise error

    outbox.enqueue([ticket(str(number)) for number in range(14)], NOW, settings)
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=Register(tmp_path / "r", fails))
    assert (report.sent, report.dead, outbox.pauses()) == (2, 12, [])


def test_a_webhook_of_slack_that_answers_anything_for_hours_gets_each_message_once(
    make_settings: Settings, outbox: Outbox
) -> None:
    """By real HTTP, and a system that nobody can ask: 502 and 500 are answers, so that nothing is perhaps sent."""
    posted: list[str] = []
    answers = cycle(
        [says(500, {}), says(502, b"bad gateway"), says(503, b""), says(408, b""), says(520, b"")]
    )
    is_back = False

    def answer(request: Request) -> Answer:
        if not is_back:
            return next(answers)
        if request.method == "POST":
            posted.append(request.json()["text"])
        return says(200, b"ok")

    with servers.running() as api:
        api.always = answer
        settings = make_settings(chat="slack_webhook", slack_webhook_url=f"{api.url}/hook")
        settings.home.mkdir(exist_ok=True)
        (settings.home / "destinations.toml").write_text("[limits.webhook]\nper_second = 1000\n")
        outbox.enqueue([slack(str(number), headline=f"n{number}") for number in range(4)], NOW, settings)
        now = NOW
        while now < NOW + 8 * HOUR:
            report = dispatch(outbox, "chat", settings, now=now)
            now = max(report.paused_until or now, now + MINUTE)
        assert {action.status for action in outbox.actions()} <= {"pending", "retrying"}
        is_back = True
        for _ in range(6):
            report = dispatch(outbox, "chat", settings, now=now)
            now = max(report.paused_until or now, now + MINUTE)
    assert sorted(posted) == [f"n{number}" for number in range(4)]
    assert {action.status for action in outbox.actions()} == {"sent"}


def test_a_mail_without_an_answer_is_sent_once_more_and_then_left_to_a_person(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    class Deaf(Away):
        """Answers whoever knocks, takes every mail, and never says so."""

        def knock(self) -> None:
            return

    desk = Deaf(tmp_path / "r", [Unreachable("silent", may_be_done=True)], can_be_asked=False)
    outbox.enqueue([email()], NOW, settings)
    passes(outbox, "email", settings, desk, NOW, NOW + 8 * HOUR)
    (action,) = outbox.actions()
    assert (desk.knocks, action.status, action.begun) == (2, "dead", 2)
    assert "perhaps sent; a person decides" in str(action.last_error)
