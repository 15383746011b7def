"""A channel that cannot get through: it stops, says so once, and finds out by one action when it can again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import Busy, Paused, Refused, Retryable, Skipped
from integrations.outbox import Outbox, Pause, dispatch, problems
from tests.integrations.examples import NOW, Register, slack, ticket

MINUTE = timedelta(minutes=1)


class Counting(Register):
    """A register that counts who knocks, and fails while it has an error."""

    def __init__(self, path: Path, error: Exception | None) -> None:
        super().__init__(path, self._fail)
        self.error, self.knocks = error, 0

    def _fail(self, _: Delivery) -> None:
        self.knocks += 1
        if self.error:
            raise self.error


def alerts(outbox: Outbox, settings: IntegrationSettings, now: datetime = NOW) -> list[str]:
    """What is told when somebody looks now: problems, and that they are over."""
    problems.reconcile(outbox.engine, problems.find(outbox.engine, settings, now), settings, now)
    told = [action.payload for action in outbox.actions(kind="pipeline_alert")]
    return sorted(str(one["summary"]) for one in told if not one["headline"].startswith("Resolved"))


def pause_of(outbox: Outbox) -> Pause:
    (pause,) = outbox.pauses()
    return pause


def test_a_thousand_actions_one_knock_one_alert(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.fill([ticket(str(number)) for number in range(1_000)], NOW, settings)
    locked = Counting(tmp_path / "r", Paused("register answered 401. Look at AFTERCALL_KEY"))
    for minutes in (0, 0.5, 0.9):
        report = dispatch(outbox, "ticket", settings, now=NOW + minutes * MINUTE, destination=locked)
        assert (report.sent, report.dead, report.retrying, report.due, report.waiting) == (0, 0, 0, 0, 1_000)
        assert (report.paused_until, report.next_attempt_at) == (NOW + MINUTE, NOW + MINUTE)
    assert locked.knocks == 1
    for _ in range(2):
        assert alerts(outbox, settings) == ["register: register answered 401. Look at AFTERCALL_KEY"]
    assert all(action.attempts == 0 for action in outbox.actions(channel="ticket", limit=1_000))


def test_the_probe_waits_longer_each_time_and_then_everything_goes_on(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.fill([ticket(str(number)) for number in range(5)], NOW, settings)
    door = Counting(tmp_path / "r", Paused("401"))
    now, waits = NOW, []
    for _ in range(7):
        until = dispatch(outbox, "ticket", settings, now=now, destination=door).paused_until
        assert until is not None
        waits.append((until - now) / MINUTE)
        now = until
    assert waits == [1, 2, 4, 8, 15, 15, 15]
    assert (door.knocks, pause_of(outbox).times, pause_of(outbox).since) == (7, 7, NOW)
    door.error = None
    report = dispatch(outbox, "ticket", settings, now=now, destination=door)
    assert (report.sent, report.paused_until, outbox.pauses()) == (5, None, [])


def test_a_second_trouble_is_told_again(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.fill([ticket("1"), ticket("2")], NOW, settings)
    door = Counting(tmp_path / "r", Paused("401"))
    dispatch(outbox, "ticket", settings, now=NOW, destination=door)
    assert alerts(outbox, settings) == ["register: 401"]
    door.error = None
    dispatch(outbox, "ticket", settings, now=NOW + MINUTE, limit=1, destination=door)
    assert alerts(outbox, settings, NOW + MINUTE) == ["register: 401"]
    door.error = Paused("403")
    dispatch(outbox, "ticket", settings, now=NOW + 2 * MINUTE, destination=door)
    assert alerts(outbox, settings, NOW + 2 * MINUTE) == ["register: 401", "register: 403"]


@pytest.mark.parametrize("error", [Retryable("503"), Refused("422"), Skipped("no")])
def test_what_proves_nothing_does_not_end_it(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, error: Exception
) -> None:
    outbox.fill([ticket("1"), ticket("2")], NOW, settings)
    door = Counting(tmp_path / "r", Paused("401"))
    dispatch(outbox, "ticket", settings, now=NOW, destination=door)
    door.error = error
    dispatch(outbox, "ticket", settings, now=NOW + MINUTE, limit=1, destination=door)
    door.error = Paused("401")
    dispatch(outbox, "ticket", settings, now=NOW + MINUTE, destination=door)
    assert pause_of(outbox).times == 2


def test_busy_stops_the_channel_for_as_long_as_it_asks_and_alerts_nobody(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.fill([ticket(str(number)) for number in range(3)], NOW, settings)
    busy = Counting(tmp_path / "r", Busy("429", after=30 * MINUTE))
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=busy)
    assert (busy.knocks, report.retrying, report.due, report.waiting) == (1, 1, 0, 3)
    assert report.paused_until == NOW + 30 * MINUTE
    assert alerts(outbox, settings) == []
    busy.error = Paused("401")
    dispatch(outbox, "ticket", settings, now=NOW + 30 * MINUTE, destination=busy)
    assert alerts(outbox, settings, NOW + 30 * MINUTE) == ["register: 401"]


def test_another_destination_is_not_stopped_by_it(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.fill([ticket()], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW, destination=Counting(tmp_path / "r", Paused("401")))
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 1
    assert outbox.pauses() == []


def test_other_channels_go_on_and_the_alert_goes_out(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.fill([ticket(), slack()], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW, destination=Counting(tmp_path / "r", Paused("401")))
    assert len(alerts(outbox, settings)) == 1
    assert dispatch(outbox, "slack", settings, now=NOW).sent == 2
    assert {preview.title for preview in outbox.previews(channel="slack")} == {
        "#support: Transfer requested by Ada",
        "#alerts: The ticket channel has stopped at register",
    }


@pytest.mark.parametrize("mend", [lambda o: o.resume("ticket"), lambda o: o.retry(ticket("2").action_key)])
def test_a_person_can_end_it(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, mend: Callable[[Outbox], None]
) -> None:
    outbox.fill([ticket("1"), ticket("2")], NOW, settings)
    door = Counting(tmp_path / "r", Paused("401"))
    dispatch(outbox, "ticket", settings, now=NOW, destination=door)
    door.error = None
    mend(outbox)
    assert outbox.backlog("ticket", NOW).due == 2
    assert dispatch(outbox, "ticket", settings, now=NOW, destination=door).sent == 2


def test_no_secret_is_told(
    outbox: Outbox, make_settings: Callable[..., IntegrationSettings], tmp_path: Path
) -> None:
    settings = make_settings(slack_bot_token="abc-def-1234")
    outbox.fill([ticket()], NOW, settings)
    dispatch(
        outbox, "ticket", settings, now=NOW, destination=Counting(tmp_path / "r", Paused("bad abc-def-1234"))
    )
    assert pause_of(outbox).reason == "bad ***"
    assert alerts(outbox, settings) == ["register: bad ***"]


def test_held_back_until_its_content_changes_or_a_person_says_so(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    door = Counting(tmp_path / "r", Skipped("it is on the list"))
    outbox.fill([ticket()], NOW, settings)
    for _ in range(3):
        report = dispatch(outbox, "ticket", settings, now=NOW, destination=door)
        outbox.fill([ticket()], NOW, settings)
    assert (door.knocks, report.waiting) == (1, 0)
    action = outbox.action(ticket().action_key)
    assert action is not None
    assert (action.status, action.last_error) == ("skipped", "held back: it is on the list")
    assert [attempt.outcome for attempt in outbox.attempts(ticket().action_key)] == ["skipped"]
    outbox.fill([ticket(title="new")], NOW, settings)
    assert dispatch(outbox, "ticket", settings, now=NOW, destination=door).skipped == 1
    door.error = None
    outbox.retry(ticket().action_key)
    assert dispatch(outbox, "ticket", settings, now=NOW, destination=door).sent == 1
