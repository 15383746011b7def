"""Looking before sending: what a dry run says is what the pass after it does, and it leaves no trace."""

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import DueAction, Outbox, Plan, dispatch
from integrations.outbox.schema import metadata
from tests.integrations.examples import NOW, contact, email, note, slack, task, ticket
from tests.integrations.outbox.systems import did, say

Settings = Callable[..., IntegrationSettings]
HOUR = timedelta(hours=1)


def look(outbox: Outbox, settings: IntegrationSettings, now: datetime = NOW) -> list[Plan]:
    """Every plan; the outbox is as it was."""
    before = everything(outbox)
    plans = [plan for channel in CHANNELS for plan in outbox.plans(channel, settings, now, 1_000)]
    assert everything(outbox) == before
    return plans


def everything(outbox: Outbox) -> dict[str, list[Any]]:
    with outbox.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in metadata.sorted_tables
        }


def summary_of(plans: list[Plan]) -> dict[str, tuple[str, str]]:
    return {plan.action.action_key: (plan.action.destination, plan.does) for plan in plans}


def test_it_plans_for_where_the_configuration_leads_now(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    north, both = make_settings(tickets="north"), make_settings(tickets="south,north")
    say(systems, "north", "fails", "retryable")
    outbox.enqueue([ticket("1"), ticket("2")], NOW, north)
    dispatch(outbox, "ticket", north, now=NOW, limit=1)
    say(systems, "north", "fails")
    later = NOW + HOUR
    assert summary_of(look(outbox, make_settings(tickets="south"), later)) == {
        "ticket:atoms:1": ("south", "create"), "ticket:atoms:2": ("south", "create"),
    }  # fmt: skip
    assert summary_of(look(outbox, both, later)) == {
        "ticket:atoms:1": ("north", "create"), "ticket:atoms:1@south": ("south", "create"),
        "ticket:atoms:2": ("north", "create"), "ticket:atoms:2@south": ("south", "create"),
    }  # fmt: skip
    assert did(systems, "south") == did(systems, "north") == []


def test_what_the_routes_drop_and_what_comes_back(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    both, one = make_settings(tickets="north,south"), make_settings(tickets="north")
    outbox.enqueue([ticket()], NOW, both)
    (dropped, stays) = look(outbox, one)
    assert (dropped.action.action_key, dropped.does) == ("ticket:atoms:1@south", "nothing")
    assert dropped.reason == "goes to another destination now"
    assert (stays.action.destination, stays.does) == ("north", "create")
    dispatch(outbox, "ticket", one, now=NOW)
    assert look(outbox, one) == []
    back = {"ticket:atoms:1@south": ("south", "create")}
    assert summary_of(look(outbox, both)) == summary_of(look(outbox, make_settings(tickets="south"))) == back


def test_a_mail_that_its_way_would_hold_back(outbox: Outbox, make_settings: Settings) -> None:
    outbox.enqueue([email("1"), email("2", to_address="ada@shop.de")], NOW, make_settings())
    assert {plan.does for plan in look(outbox, make_settings())} == {"create"}
    smtp = make_settings(emails="smtp", smtp_host="127.0.0.1", email_from_address="help@shop.de")
    example, other = look(outbox, smtp)
    assert (example.does, other.does) == ("skip", "create")
    assert example.reason.startswith("held back: example.com is a domain for examples")


def test_a_system_that_takes_nothing_is_not_asked_for_everything(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north", stop_after_unreachable=2)
    outbox.enqueue([ticket(f"{number}") for number in range(6)], NOW, settings)
    for failure, asked in (("paused", 1), ("unreachable", 2)):
        say(systems, "north", "blind", failure)
        plans = look(outbox, settings)
        assert [plan.does for plan in plans] == ["fail"] * asked + ["wait"] * (6 - asked)
        assert f"north is {failure}" in plans[-1].reason


FATES = ("", "", "", "paused", "refused", "retryable", "unreachable")
PLACES = ("preview", "north", "south", "north,south", "south,north", "preview,south")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", range(4))
def test_a_pass_does_what_was_planned(
    outbox: Outbox, make_settings: Settings, systems: Path, seed: int
) -> None:
    """Whatever was done before, of whatever went wrong, and wherever actions went until now."""
    chance, now = random.Random(seed), NOW

    def settings() -> IntegrationSettings:
        places = {name: chance.choice(PLACES) for name in ("tickets", "crm", "chat", "emails")}
        return make_settings(**places, stop_after_unreachable=3, retry_max_attempts=3)

    for round_ in range(3):
        outbox.enqueue(some(chance, round_), now, settings())
        for name in ("north", "south"):
            say(systems, name, "fails", chance.choice(FATES))
        for channel in CHANNELS:
            dispatch(outbox, channel, settings(), now=now, limit=chance.choice((1, 3, None)))
        now += chance.choice((timedelta(0), timedelta(seconds=30), HOUR))
    for name in ("north", "south"):
        say(systems, name, "fails")
    ours = settings()
    planned = look(outbox, ours, now)
    before = {action.action_key: action for action in outbox.actions(limit=1_000)}
    lines = {name: len(did(systems, name)) for name in ("north", "south")}
    for channel in CHANNELS:
        dispatch(outbox, channel, ours, now=now)
    expected, happened = defaultdict(list), defaultdict(list)
    for plan in planned:
        if plan.does in ("create", "update") and plan.action.destination != "preview":
            expected[plan.action.destination].append((plan.action.due_key, plan.does))
    for name, count in lines.items():
        happened[name] = [(line["key"], line["did"]) for line in did(systems, name)[count:]]
    assert {name: sorted(steps) for name, steps in expected.items()} == {
        name: sorted(steps) for name, steps in happened.items() if steps
    }
    does = {plan.action.action_key: plan for plan in planned}
    for action in outbox.actions(limit=1_000):
        meant = does.get(action.action_key)
        if meant is None:
            was = before[action.action_key]
            assert (action.status, action.attempts) == (was.status, was.attempts)
        elif meant.does == "wait":
            assert action.status in ("pending", "retrying")
        else:
            is_dropped = meant.reason == "goes to another destination now"
            assert action.status == ("skipped" if is_dropped else "sent")


def some(chance: random.Random, round_: int) -> list[DueAction]:
    """Actions of some calls, some of them told of before with other words."""
    rows: list[DueAction] = []
    for number in chance.sample(range(6), 3):
        call, phone = f"{number}", f"+1202555014{number % 2}"
        ours = [
            ticket(call, title=f"{round_}"), contact(phone, call_count=round_), note(call, phone, body=f"{round_}"),
            task(call, phone), email(call), slack(call),
        ]  # fmt: skip
        rows += [replace(one, due_at=None) for one in ours]
    return rows
