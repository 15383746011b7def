"""A try that is forbidden (403): a failure of the action, with a long wait, unless everything is forbidden."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from integrations.chat.message import channel_of
from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import Forbidden
from integrations.outbox import Outbox, dispatch
from tests.integrations import servers
from tests.integrations.examples import NOW, Register, delivery, slack, ticket
from tests.integrations.servers import says

Settings = Callable[..., IntegrationSettings]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Guarded(Register):
    """A register that forbids some calls, or all."""

    def __init__(self, path: Path, *calls: str) -> None:
        super().__init__(path, self._look)
        self.calls, self.knocks = calls, 0

    def _look(self, delivery: Delivery) -> None:
        self.knocks += 1
        if not self.calls or delivery.call_id in self.calls:
            raise Forbidden("403: not in this queue")


def open_problems(outbox: Outbox, settings: IntegrationSettings) -> list[str]:
    findings = outbox.findings(settings, NOW)
    return [problem.key for problem in outbox.reconcile(findings, settings, NOW).open]


@pytest.mark.parametrize("bad", [["0"], ["7"], ["9"], [str(number) for number in range(6)]])
def test_what_is_forbidden_of_many_stops_nobody(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, bad: list[str]
) -> None:
    outbox.enqueue([ticket(str(number)) for number in range(10)], NOW, settings)
    desk = Guarded(tmp_path / "r", *bad)
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=desk)
    assert (report.sent, report.retrying, report.paused_until) == (10 - len(bad), len(bad), None)
    assert open_problems(outbox, settings) == []
    for call in bad:
        action = outbox.action(ticket(call).action_key)
        assert action is not None
        assert (action.status, action.attempts, action.failures) == ("retrying", 1, 1)
        assert action.last_error == "403: not in this queue"
        assert action.next_attempt_at is not None
        assert action.next_attempt_at - NOW >= HOUR
    assert desk.knocks == 10


def test_a_key_without_rights_stops_the_destination_and_all_wait_for_it(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([ticket(str(number)) for number in range(60)], NOW, settings)
    desk, now = Guarded(tmp_path / "r"), NOW
    for minutes, knocks in ((1, 10), (2, 13), (4, 16)):
        until = dispatch(outbox, "ticket", settings, now=now, destination=desk).paused_until
        assert (until, desk.knocks) == (now + minutes * MINUTE, knocks)
        assert open_problems(outbox, settings) == ["stopped:ticket:register"]
        now += minutes * MINUTE
    rows = outbox.actions(channel="ticket", limit=60)
    assert {(row.status, row.failures, row.next_attempt_at) for row in rows} == {("pending", 0, None)}
    desk.calls = ("none",)
    assert dispatch(outbox, "ticket", settings, now=now, destination=desk).sent == 60
    assert open_problems(outbox, settings) == []


def test_one_that_stays_forbidden_is_given_up_after_as_many_tries_as_any_other(
    outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(retry_max_attempts=3)
    outbox.enqueue([ticket()], NOW, settings)
    desk, now, statuses = Guarded(tmp_path / "r"), NOW, []
    for _ in range(3):
        dispatch(outbox, "ticket", settings, now=now, destination=desk)
        action = outbox.action(ticket().action_key)
        assert action is not None
        statuses.append(action.status)
        now = action.next_attempt_at or now
    assert (statuses, desk.knocks, outbox.pauses()) == (["retrying", "retrying", "dead"], 3, [])
    assert open_problems(outbox, settings) == ["dead:ticket:register"]


def test_a_webhook_of_slack_that_is_gone_holds_up_no_other(outbox: Outbox, make_settings: Settings) -> None:
    with servers.running() as api:
        api.always = lambda request: says(404, b"no_service") if "/vip" in request.path else says(200, b"ok")
        urls = f"#vip={api.url}/vip,{api.url}/others"
        settings = make_settings(chat="slack_webhook", slack_webhook_url=urls)
        settings.home.mkdir(exist_ok=True)
        (settings.home / "destinations.toml").write_text("[limits.slack_webhook]\nper_second = 100\n")
        rows = [slack("1", slack_channel="#vip"), slack("2"), slack("3")]
        assert channel_of(delivery(rows[0])) == "#vip"
        outbox.enqueue(rows, NOW, settings)
        report = dispatch(outbox, "chat", settings, now=NOW)
    assert (report.sent, report.retrying, outbox.pauses()) == (2, 1, [])
