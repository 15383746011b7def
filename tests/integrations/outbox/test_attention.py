"""The list of what needs a person: what the outbox knows now, and what the last look for problems has left."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.outbox import Finding, Outbox, dispatch
from tests.integrations.examples import NOW, ticket
from tests.integrations.outbox.recorded import all_problems
from tests.integrations.outbox.systems import say

Settings = Callable[..., IntegrationSettings]
MINUTE = timedelta(minutes=1)


def look(outbox: Outbox, settings: IntegrationSettings, *more: Finding, now: datetime = NOW) -> None:
    """A look for problems, with findings of the floor above."""
    findings = [*outbox.findings(settings, now), *more]
    outbox.reconcile(findings, settings, now)
    outbox.record_look(now, findings, {})


def listed(outbox: Outbox, settings: IntegrationSettings, now: datetime = NOW) -> list[tuple[str, bool]]:
    return [(item.key, item.is_urgent) for item in outbox.needs_attention(settings, now).items]


def test_nobody_has_looked_until_somebody_looks(outbox: Outbox, make_settings: Settings) -> None:
    settings = make_settings()
    assert listed(outbox, settings) == [("looks", False)]
    look(outbox, settings)
    attention = outbox.needs_attention(settings, NOW + 5 * MINUTE)
    assert (attention.items, attention.looked_at) == ((), NOW)
    assert listed(outbox, settings, NOW + 6 * MINUTE) == [("looks", True)]
    assert listed(outbox, make_settings(alert_look_minutes=60), NOW + 6 * MINUTE) == []
    assert listed(outbox, make_settings(alert_look_minutes=0), NOW + 6000 * MINUTE) == []


def test_what_the_outbox_knows_is_listed_before_anybody_looks_and_gone_at_once(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north", alert_look_minutes=0)
    say(systems, "north", "fails", "paused")
    outbox.enqueue([ticket("1")], NOW, settings)
    until = dispatch(outbox, "ticket", settings, now=NOW).paused_until
    (item,) = outbox.needs_attention(settings, NOW).items
    assert (item.key, item.is_urgent, item.next_try_at, item.channel) == (
        "stopped:ticket:north", True, until, "ticket",
    )  # fmt: skip
    assert "aftercall actions resume ticket" in item.remedy
    look(outbox, settings)
    (item,) = outbox.needs_attention(settings, NOW + MINUTE).items
    assert item.since == NOW
    outbox.resume("ticket")
    assert listed(outbox, settings) == []


def test_a_stop_that_may_mend_itself_is_listed_and_not_reported(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north", stop_after_unreachable=2, alert_look_minutes=0)
    say(systems, "north", "fails", "unreachable")
    outbox.enqueue([ticket(f"{number}") for number in range(5)], NOW, settings)
    until = dispatch(outbox, "ticket", settings, now=NOW).paused_until
    assert until is not None
    look(outbox, settings)
    assert listed(outbox, settings) == [("stopped:ticket:north", False)]
    assert outbox.actions(kind="pipeline_alert") == []
    dispatch(outbox, "ticket", settings, now=until)
    look(outbox, settings, now=until)
    assert listed(outbox, settings) == [("stopped:ticket:north", True)]
    assert len(outbox.actions(kind="pipeline_alert")) == 1


def test_a_stop_that_mended_itself_was_never_reported(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north", stop_after_unreachable=2, alert_look_minutes=0)
    say(systems, "north", "fails", "unreachable")
    outbox.enqueue([ticket(f"{number}") for number in range(5)], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW)
    look(outbox, settings)
    outbox.resume("ticket")
    look(outbox, settings, now=NOW + MINUTE)
    assert (listed(outbox, settings), outbox.actions(kind="pipeline_alert")) == ([], [])


def test_what_failed_is_listed_until_a_person_closes_it_and_so_are_alerts_that_failed(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north", chat="south", alert_look_minutes=0, stop_after_refusals=100)
    for name in ("north", "south"):
        say(systems, name, "fails", "refused")
    outbox.enqueue([ticket("1"), ticket("2")], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW)
    look(outbox, settings)
    dispatch(outbox, "chat", settings, now=NOW)
    assert listed(outbox, settings) == [("dead:ticket:north", True), ("dead:alerts:chat:south", False)]
    look(outbox, settings)
    (alert,) = outbox.actions(kind="pipeline_alert")
    outbox.give_up(alert.action_key, by="Grace")
    outbox.give_up("ticket:atoms:1", by="Grace")
    assert listed(outbox, settings) == [("dead:ticket:north", True)]
    outbox.give_up("ticket:atoms:2", by="Grace")
    assert listed(outbox, settings) == []


def test_what_the_floor_above_saw_stays_with_its_next_try_until_it_looks_again(
    outbox: Outbox, make_settings: Settings
) -> None:
    settings = make_settings()
    finding = Finding(
        "runs:x", "raw/call_events:runs_succeed", "Runs of x fail", "so", "Open it", NOW + MINUTE
    )
    look(outbox, settings, finding)
    (item,) = outbox.needs_attention(settings, NOW).items
    assert (item.headline, item.details, item.remedy) == ("Runs of x fail", "so", "Open it")
    assert (item.since, item.next_try_at, item.is_urgent, item.channel) == (NOW, NOW + MINUTE, True, None)
    look(outbox, settings)
    assert listed(outbox, settings) == []


@pytest.mark.parametrize("value", ["", "[]", '{"at": 1}', '{"at": "x", "next_tries": {}, "notes": {}}'])
def test_a_look_of_another_version_counts_as_none(
    outbox: Outbox, make_settings: Settings, value: str
) -> None:
    outbox.set_watermark("problems:last_look", value)
    assert outbox.last_look() is None
    assert listed(outbox, make_settings()) == [("looks", False)]


def test_a_receiver_that_is_down_is_urgent_once_it_is_down_for_longer_than_a_restart(
    outbox: Outbox, make_settings: Settings
) -> None:
    settings = make_settings(alert_look_minutes=0)
    down = Finding(
        "receiver", "x:y", "The receiver does not answer", "so", "Start it", alert_after=MINUTE, since=NOW
    )
    for minutes, is_urgent in ((0, False), (0.9, False), (1, True)):
        (item,) = outbox.needs_attention(settings, NOW + minutes * MINUTE, [down]).items
        assert (item.key, item.is_urgent, item.since) == ("receiver", is_urgent, NOW)


def test_an_action_that_waits_says_why(outbox: Outbox, make_settings: Settings, systems: Path) -> None:
    settings = make_settings(tickets="north,south")
    say(systems, "north", "fails", "paused")
    outbox.enqueue([ticket("1")], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW)
    waiting, done = sorted(outbox.actions(channel="ticket"), key=lambda action: action.destination)
    assert (waiting.destination, done.status) == ("north", "sent")
    reason = outbox.why_waiting([waiting], settings).get(waiting.action_key)
    assert reason is not None
    assert reason.headline == "north has stopped"
    assert "aftercall actions resume ticket" in reason.remedy
    assert outbox.why_waiting([done], settings).get(done.action_key) is None
    outbox.resume("ticket")
    reason = outbox.why_waiting([waiting], settings)[waiting.action_key]
    assert (str(reason), reason.remedy) == ("the next pass sends it: aftercall up, or aftercall run", "")
    off = Finding("paused:ticket", "x:y", "The ticket channel is switched off", "off", "Switch it on")
    look(outbox, settings, off)
    reason = outbox.why_waiting([waiting], settings).get(waiting.action_key)
    assert reason is not None
    assert reason.headline == off.headline


def test_a_problem_that_ended_between_two_looks_is_reported_once(
    outbox: Outbox, make_settings: Settings
) -> None:
    settings = make_settings()
    words = ("raw/call_events:runs_succeed", "Runs of x fail", "so", "Open it")
    past = Finding("runs:x", *words, since=NOW, over_at=NOW + MINUTE / 2)
    for minutes in (1, 2):
        look(outbox, settings, past, now=NOW + minutes * MINUTE)
        assert len(outbox.actions(kind="pipeline_alert")) == 2
        assert listed(outbox, settings, NOW + minutes * MINUTE) == []
    (problem,) = all_problems(outbox)
    assert (problem.since, problem.resolved_at) == (NOW, NOW + MINUTE / 2)
