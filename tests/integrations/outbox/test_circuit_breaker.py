"""A channel that cannot get through: it stops, says so once, and finds out by one action when it can again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import (
    DestinationUnavailable,
    RateLimited,
    Rejected,
    Suppressed,
    TransientError,
    Unreachable,
)
from integrations.outbox import Outbox, Pause, dispatch
from tests.integrations.examples import NOW, Register, slack, ticket
from tests.integrations.outbox.recorded import all_problems

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
    outbox.reconcile(outbox.findings(settings, now), settings, now)
    payloads = [action.payload for action in outbox.actions(kind="pipeline_alert")]
    return sorted(str(one["summary"]) for one in payloads if not one["headline"].startswith("Resolved"))


def of_register(summaries: list[str]) -> list[str]:
    """Those about the register: an alert that nobody sends waits too."""
    return [one for one in summaries if "register" in one]


def pause_of(outbox: Outbox) -> Pause:
    (pause,) = outbox.pauses()
    return pause


def test_a_thousand_actions_one_knock_one_alert(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([ticket(str(number)) for number in range(1_000)], NOW, settings)
    locked = Counting(tmp_path / "r", DestinationUnavailable("register answered 401. Look at AFTERCALL_KEY"))
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
    outbox.enqueue([ticket(str(number)) for number in range(5)], NOW, settings)
    door = Counting(tmp_path / "r", DestinationUnavailable("401"))
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


def test_a_second_trouble_is_reported_again(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([ticket("1"), ticket("2")], NOW, settings)
    door = Counting(tmp_path / "r", DestinationUnavailable("401"))
    dispatch(outbox, "ticket", settings, now=NOW, destination=door)
    assert alerts(outbox, settings) == ["register: 401"]
    door.error = None
    dispatch(outbox, "ticket", settings, now=NOW + MINUTE, limit=1, destination=door)
    assert alerts(outbox, settings, NOW + MINUTE) == ["register: 401"]
    door.error = DestinationUnavailable("403")
    outbox.enqueue([ticket("3")], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW + 2 * MINUTE, destination=door)
    assert alerts(outbox, settings, NOW + 2 * MINUTE) == ["register: 401", "register: 403"]


@pytest.mark.parametrize("error", [TransientError("503"), Rejected("422"), Suppressed("no")])
def test_what_proves_nothing_does_not_end_it(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, error: Exception
) -> None:
    outbox.enqueue([ticket("1"), ticket("2")], NOW, settings)
    door = Counting(tmp_path / "r", DestinationUnavailable("401"))
    dispatch(outbox, "ticket", settings, now=NOW, destination=door)
    door.error = error
    dispatch(outbox, "ticket", settings, now=NOW + MINUTE, limit=1, destination=door)
    door.error = DestinationUnavailable("401")
    dispatch(outbox, "ticket", settings, now=NOW + MINUTE, destination=door)
    assert pause_of(outbox).times == 2


def test_busy_stops_the_channel_for_as_long_as_it_asks_and_alerts_nobody(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([ticket(str(number)) for number in range(3)], NOW, settings)
    busy = Counting(tmp_path / "r", RateLimited("429", after=30 * MINUTE))
    report = dispatch(outbox, "ticket", settings, now=NOW, destination=busy)
    assert (busy.knocks, report.retrying, report.due, report.waiting) == (1, 0, 0, 3)
    assert report.paused_until == NOW + 30 * MINUTE
    assert alerts(outbox, settings) == []
    busy.error = DestinationUnavailable("401")
    dispatch(outbox, "ticket", settings, now=NOW + 30 * MINUTE, destination=busy)
    assert alerts(outbox, settings, NOW + 30 * MINUTE) == ["register: 401"]


def fail_for(*calls: str, error: Exception) -> Callable[[Delivery], None]:
    def fails(delivery: Delivery) -> None:
        if delivery.call_id in calls:
            raise error

    return fails


@pytest.mark.parametrize(
    "error", [DestinationUnavailable("403"), RateLimited("429"), Unreachable("no connection")]
)
def test_one_bad_action_cannot_hold_the_destination(
    outbox: Outbox,
    make_settings: Callable[..., IntegrationSettings],
    tmp_path: Path,
    error: Exception,
) -> None:
    settings = make_settings(stop_after_unreachable=1)
    outbox.enqueue([ticket(str(number)) for number in range(5)], NOW, settings)
    desk = Register(tmp_path / "r", fail_for("0", error=error))
    assert dispatch(outbox, "ticket", settings, now=NOW, destination=desk).sent == 0
    passes = [NOW + MINUTE, NOW + 3 * MINUTE]
    assert sum(dispatch(outbox, "ticket", settings, now=at, destination=desk).sent for at in passes) == 4


def test_each_probe_is_another_action(outbox: Outbox, settings: IntegrationSettings, tmp_path: Path) -> None:
    outbox.enqueue([ticket(str(number)) for number in range(3)], NOW, settings)
    desk, now, tried = (
        Register(tmp_path / "r", fail_for("0", "1", "2", error=DestinationUnavailable("403"))),
        NOW,
        [],
    )
    for _ in range(6):
        until = dispatch(outbox, "ticket", settings, now=now, destination=desk).paused_until
        assert until is not None
        tried += [one.call_id for one in outbox.actions(channel="ticket") if one.stopped_at == now]
        now = until
    assert tried == ["0", "1", "2", "0", "1", "2"]


def test_what_stops_at_one_action_alone_is_that_actions_failure(
    outbox: Outbox, make_settings: Callable[..., IntegrationSettings], tmp_path: Path
) -> None:
    settings = make_settings(retry_max_attempts=3, retry_base_seconds=0.001)
    outbox.enqueue([ticket("0"), ticket("1")], NOW, settings)
    desk = Register(tmp_path / "r", fail_for("0", error=DestinationUnavailable("403: not this project")))
    for minutes in range(5):
        dispatch(outbox, "ticket", settings, now=NOW + minutes * MINUTE, destination=desk)
        outbox.enqueue([ticket(f"{minutes + 2}")], NOW, settings)
    bad = outbox.action(ticket("0").action_key)
    assert bad is not None
    assert (bad.status, bad.attempts, bad.last_error) == ("dead", 3, "403: not this project")
    assert len(outbox.actions(channel="ticket", status="sent")) == 5
    assert outbox.pauses() == []


def test_a_key_that_is_refused_once_more_burns_no_more_than_a_row_of_refusals(
    outbox: Outbox, make_settings: Callable[..., IntegrationSettings], tmp_path: Path
) -> None:
    settings = make_settings(stop_after_refusals=3)
    outbox.enqueue([ticket(str(number)) for number in range(40)], NOW, settings)
    door, now = Counting(tmp_path / "r", DestinationUnavailable("401")), NOW
    for _ in range(40):
        now = dispatch(outbox, "ticket", settings, now=now, destination=door).paused_until or now
    door.error = None
    dispatch(outbox, "ticket", settings, now=now, limit=1, destination=door)
    door.error, door.knocks = DestinationUnavailable("401"), 0
    report = dispatch(outbox, "ticket", settings, now=now + MINUTE, destination=door)
    assert (door.knocks, report.dead, report.due) == (3, 0, 0)
    assert pause_of(outbox).is_alerted


def test_being_asked_to_wait_kills_nothing_and_is_reported_when_it_lasts(
    outbox: Outbox, make_settings: Callable[..., IntegrationSettings], tmp_path: Path
) -> None:
    settings = make_settings(retry_max_attempts=3)
    outbox.enqueue([ticket("1")], NOW, settings)
    busy, now = Counting(tmp_path / "r", RateLimited("429", after=6 * 60 * MINUTE)), NOW
    for _ in range(5):
        until = dispatch(outbox, "ticket", settings, now=now, destination=busy).paused_until
        assert until is not None
        summaries = of_register(alerts(outbox, settings, now + 31 * MINUTE))
        assert len(summaries) == 1
        assert summaries[0].endswith("it is tried again at 14:00 UTC: 429")
        now = until
    action = outbox.action(ticket("1").action_key)
    assert action is not None
    assert (action.status, action.attempts) == ("pending", 0)
    busy.error = None
    dispatch(outbox, "ticket", settings, now=now, destination=busy)
    assert of_register(alerts(outbox, settings, now)) == summaries
    assert all_problems(outbox)[0].resolved_at == now


def test_a_system_that_stays_away_for_long_is_reported_before_it_is_asked_again(
    outbox: Outbox, make_settings: Callable[..., IntegrationSettings], tmp_path: Path
) -> None:
    settings = make_settings(stop_after_unreachable=1)
    outbox.enqueue([ticket("1")], NOW, settings)
    away = Counting(tmp_path / "r", Unreachable("503", after=6 * 60 * MINUTE))
    until = dispatch(outbox, "ticket", settings, now=NOW, destination=away).paused_until
    assert until == NOW + 6 * 60 * MINUTE
    assert alerts(outbox, settings, NOW + 29 * MINUTE) == []
    assert len(of_register(alerts(outbox, settings, NOW + 31 * MINUTE))) == 1
    dispatch(outbox, "ticket", settings, now=until, destination=away)
    # Now the stop is told too; the waiting is not said to be over.
    assert len(of_register(alerts(outbox, settings, until))) == 2
    assert all(one.resolved_at is None for one in all_problems(outbox))


def test_another_destination_is_not_stopped_by_it(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([ticket()], NOW, settings)
    dispatch(
        outbox,
        "ticket",
        settings,
        now=NOW,
        destination=Counting(tmp_path / "r", DestinationUnavailable("401")),
    )
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 1
    assert outbox.pauses() == []


def test_other_channels_go_on_and_the_alert_goes_out(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    outbox.enqueue([ticket(), slack()], NOW, settings)
    dispatch(
        outbox,
        "ticket",
        settings,
        now=NOW,
        destination=Counting(tmp_path / "r", DestinationUnavailable("401")),
    )
    assert len(alerts(outbox, settings)) == 1
    assert dispatch(outbox, "chat", settings, now=NOW).sent == 2
    assert {preview.title for preview in outbox.previews(channel="chat", limit=1_000)} == {
        "#support: Transfer requested by Ada",
        "#alerts: The ticket channel has stopped at register",
    }


@pytest.mark.parametrize("mend", [lambda o: o.resume("ticket"), lambda o: o.retry(ticket("2").action_key)])
def test_a_person_can_end_it(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, mend: Callable[[Outbox], None]
) -> None:
    outbox.enqueue([ticket("1"), ticket("2")], NOW, settings)
    door = Counting(tmp_path / "r", DestinationUnavailable("401"))
    dispatch(outbox, "ticket", settings, now=NOW, destination=door)
    door.error = None
    mend(outbox)
    assert outbox.backlog("ticket", NOW).due == 2
    assert dispatch(outbox, "ticket", settings, now=NOW, destination=door).sent == 2


def test_no_secret_is_shown(
    outbox: Outbox, make_settings: Callable[..., IntegrationSettings], tmp_path: Path
) -> None:
    settings = make_settings(slack_bot_token="abc-def-1234")
    outbox.enqueue([ticket()], NOW, settings)
    dispatch(
        outbox,
        "ticket",
        settings,
        now=NOW,
        destination=Counting(tmp_path / "r", DestinationUnavailable("bad abc-def-1234")),
    )
    assert pause_of(outbox).reason == "bad ***"
    assert alerts(outbox, settings) == ["register: bad ***"]


def test_held_back_until_its_content_changes_or_a_person_says_so(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path
) -> None:
    door = Counting(tmp_path / "r", Suppressed("it is on the list"))
    outbox.enqueue([ticket()], NOW, settings)
    for _ in range(3):
        report = dispatch(outbox, "ticket", settings, now=NOW, destination=door)
        outbox.enqueue([ticket()], NOW, settings)
    assert (door.knocks, report.waiting) == (1, 0)
    action = outbox.action(ticket().action_key)
    assert action is not None
    assert (action.status, action.last_error) == ("skipped", "held back: it is on the list")
    assert [attempt.outcome for attempt in outbox.attempts(ticket().action_key)] == ["skipped"]
    outbox.enqueue([ticket(title="new")], NOW, settings)
    assert dispatch(outbox, "ticket", settings, now=NOW, destination=door).skipped == 1
    door.error = None
    outbox.retry(ticket().action_key)
    assert dispatch(outbox, "ticket", settings, now=NOW, destination=door).sent == 1
