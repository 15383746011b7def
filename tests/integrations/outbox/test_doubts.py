"""A try that is forbidden (403): one record out of the key's reach is told apart from a key that may nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from integrations.chat.message import message
from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Finding
from integrations.errors import Forbidden
from integrations.outbox import Outbox, dispatch, problems
from tests.integrations import servers
from tests.integrations.examples import NOW, Register, delivery, slack, ticket
from tests.integrations.servers import says

Settings = Callable[..., IntegrationSettings]
MINUTE = timedelta(minutes=1)


class Guarded(Register):
    """A register that forbids some calls, or all; asked for it, it says whether its key is right."""

    def __init__(self, path: Path, *calls: str, is_right: bool = True) -> None:
        super().__init__(path, self._look)
        self.calls, self.is_right, self.knocks, self.checks = calls, is_right, 0, 0

    def _look(self, delivery: Delivery) -> None:
        self.knocks += 1
        if not self.calls or delivery.call_id in self.calls:
            raise Forbidden("403: not in this queue")

    def check(self) -> Iterator[Finding]:
        self.checks += 1
        yield Finding("credentials", self.is_right, "ada")


def told(outbox: Outbox, settings: IntegrationSettings) -> list[str]:
    found = problems.find(outbox.engine, settings, NOW)
    return [problem.key for problem in problems.reconcile(outbox.engine, found, settings, NOW).open]


@pytest.mark.parametrize("bad", [["0"], ["7"], ["9"], [str(number) for number in range(6)]])
def test_what_is_forbidden_of_many_stops_nobody(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, bad: list[str]
) -> None:
    outbox.fill([ticket(str(number)) for number in range(10)], NOW, settings)
    desk = Guarded(tmp_path / "r", *bad)
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=desk)
    assert (report.sent, report.retrying, report.paused_until) == (10 - len(bad), len(bad), None)
    assert told(outbox, settings) == []
    for call in bad:
        action = outbox.action(ticket(call).action_key)
        assert action is not None
        assert (action.status, action.attempts, action.last_error) == (
            "retrying",
            1,
            "403: not in this queue",
        )
    assert (desk.knocks, desk.checks) == (10, 0)


def test_a_key_that_may_nothing_knocks_three_times_and_burns_nothing(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.fill([ticket(str(number)) for number in range(60)], NOW, settings)
    desk, now = Guarded(tmp_path / "r"), NOW
    for minutes in (1, 2, 4):
        until = dispatch(outbox, "ticket", settings, now=now, destination=desk).paused_until
        assert until == now + minutes * MINUTE
        assert told(outbox, settings) == ["stopped:ticket:register"]
        now = until
    assert (desk.knocks, desk.checks) == (9, 0)
    assert {action.attempts for action in outbox.actions(channel="ticket", limit=60)} == {0}
    desk.calls = ("none",)
    assert dispatch(outbox, "ticket", settings, now=now, destination=desk).sent == 60
    assert told(outbox, settings) == []


@pytest.mark.parametrize("is_right", [True, False])
def test_one_alone_is_told_by_the_check(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, is_right: bool
) -> None:
    outbox.fill([ticket()], NOW, settings)
    desk = Guarded(tmp_path / "r", is_right=is_right)
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=desk)
    action = outbox.action(ticket().action_key)
    assert action is not None
    assert (report.retrying, action.attempts) == ((1, 1) if is_right else (0, 0))
    assert len(outbox.pauses()) == (not is_right)
    assert (desk.knocks, desk.checks) == (1, 1)


def test_a_webhook_of_slack_that_is_gone_holds_up_no_other(outbox: Outbox, make_settings: Settings) -> None:
    with servers.running() as api:
        api.always = lambda request: says(404, b"no_service") if "/vip" in request.path else says(200, b"ok")
        urls = f"#vip={api.url}/vip,{api.url}/others"
        settings = make_settings(chat="slack_webhook", slack_webhook_url=urls)
        settings.home.mkdir(exist_ok=True)
        (settings.home / "destinations.toml").write_text("[limits.webhook]\nper_second = 100\n")
        rows = [slack("1", slack_channel="#vip"), slack("2"), slack("3")]
        assert message(delivery(rows[0]), settings).channel == "#vip"
        outbox.fill(rows, NOW, settings)
        report = dispatch(outbox, "chat", settings, now=NOW)
    assert (report.sent, report.retrying, outbox.pauses()) == (2, 1, [])
