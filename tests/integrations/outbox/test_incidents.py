"""Problems: each is told once when it begins and once when it is over."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.outbox import BadAlerts, Finding, Outbox, dispatch
from tests.integrations.examples import NOW, ticket
from tests.integrations.outbox.recorded import all_problems
from tests.integrations.outbox.systems import say

Settings = Callable[..., IntegrationSettings]
MINUTE = timedelta(minutes=1)


def look(outbox: Outbox, settings: IntegrationSettings, now: datetime = NOW) -> list[str]:
    """Keys of the problems that are open after a look and of which an alert has told."""
    current = outbox.findings(settings, now)
    open_now = outbox.reconcile(current, settings, now).open
    return [problem.key for problem in open_now if problem.alerted_at]


def headlines(outbox: Outbox, channel: str = "chat") -> list[str]:
    alerts = outbox.actions(kind="pipeline_alert", channel=channel)
    return [str(action.payload["headline"]) for action in reversed(alerts)]


def test_many_dead_actions_are_one_problem(outbox: Outbox, make_settings: Settings, systems: Path) -> None:
    settings = make_settings(tickets="north", stop_after_refusals=100)
    say(systems, "north", "fails", "refused")
    outbox.enqueue([ticket(f"{number}") for number in range(9)], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW)
    for _ in range(3):
        assert look(outbox, settings) == ["dead:ticket:north"]
    assert headlines(outbox) == ["Actions of the ticket channel have failed"]
    say(systems, "north", "fails")
    for number in range(8):
        outbox.retry(f"ticket:atoms:{number}")
    dispatch(outbox, "ticket", settings, now=NOW)
    assert look(outbox, settings) == ["dead:ticket:north"]
    outbox.give_up("ticket:atoms:8", "Grace")
    assert look(outbox, settings, NOW + 5 * MINUTE) == []
    assert headlines(outbox)[1:] == ["Resolved: Actions of the ticket channel have failed"]
    (over,) = all_problems(outbox)
    assert (over.since, over.resolved_at) == (NOW, NOW + 5 * MINUTE)


@pytest.mark.parametrize("apart", [MINUTE, MINUTE / 1000], ids=["a minute", "within a second"])
def test_the_same_problem_again_is_reported_again(
    outbox: Outbox, make_settings: Settings, systems: Path, apart: timedelta
) -> None:
    settings = make_settings()
    finding = Finding("k", "outbox/crm:circuit_closed", "It is broken", "so", "Mend it")
    for number in range(3):
        now = NOW + number * apart
        outbox.reconcile([finding], settings, now)
        outbox.reconcile([], settings, now + apart / 2)
    assert headlines(outbox) == ["It is broken", "Resolved: It is broken"] * 3


def test_a_short_absence_is_nobodys_business_a_long_one_is(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north", stop_after_unreachable=2)
    say(systems, "north", "fails", "unreachable")
    outbox.enqueue([ticket(f"{number}") for number in range(5)], NOW, settings)
    until = dispatch(outbox, "ticket", settings, now=NOW).paused_until
    assert until is not None
    assert look(outbox, settings) == []
    dispatch(outbox, "ticket", settings, now=until)
    assert look(outbox, settings, until) == ["stopped:ticket:north"]


def test_what_waits_too_long(outbox: Outbox, make_settings: Settings, systems: Path) -> None:
    settings = make_settings(
        tickets="north", alert_waiting_minutes=30, retry_base_seconds=0.001, alerts="off"
    )
    outbox.enqueue([ticket("1")], NOW, settings)
    assert look(outbox, settings, NOW + 29 * MINUTE) == []
    assert look(outbox, settings, NOW + 31 * MINUTE) == ["waiting:ticket:north"]
    say(systems, "north", "fails", "retryable")
    later = NOW + 40 * MINUTE
    dispatch(outbox, "ticket", settings, now=later)
    # It is being tried; it waits since the first failure of this row of them.
    assert look(outbox, settings, later) == []
    dispatch(outbox, "ticket", settings, now=later + 25 * MINUTE)
    assert look(outbox, settings, later + 31 * MINUTE) == ["waiting:ticket:north"]
    say(systems, "north", "fails")
    dispatch(outbox, "ticket", settings, now=later + 40 * MINUTE)
    assert look(outbox, settings, later + 40 * MINUTE) == []


def test_where_alerts_go(outbox: Outbox, make_settings: Settings) -> None:
    finding = Finding("k", "outbox/crm:circuit_closed", "It is broken", "so", "Mend it")
    both = make_settings(alerts="slack,email", alert_email="ops@shop.de", chat_alert_channel="#ops")
    outbox.reconcile([finding], both, NOW)
    assert headlines(outbox) == headlines(outbox, "email") == ["It is broken"]
    (mail,) = outbox.actions(channel="email")
    assert mail.payload["to_address"] == "ops@shop.de"
    outbox.reconcile([], make_settings(alerts="off"), NOW)
    assert len(headlines(outbox)) == 1
    for wrong in ({"alerts": "pager"}, {"alerts": "email"}):
        with pytest.raises(BadAlerts, match="AFTERCALL_ALERT"):
            outbox.reconcile([finding], make_settings(**wrong), NOW + MINUTE)


def test_broken_routes_do_not_keep_it_from_being_reported(
    outbox: Outbox, settings: IntegrationSettings, systems: Path
) -> None:
    (systems / "destinations.toml").write_text("[[route]]\n")
    finding = Finding("k", "raw/call_events:runs_succeed", "It is broken", "so", "Mend it")
    outbox.reconcile([finding], settings, NOW)
    assert headlines(outbox) == ["It is broken"]
