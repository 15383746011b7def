"""Keys of calls whose ids are made of the outbox's own separators: no two actions share a row, and none is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import text

from integrations.config import IntegrationSettings
from integrations.outbox import Outbox, dispatch
from integrations.outbox.engine import writing
from integrations.outbox.keys import copy_key, due_key_of, is_copy, row_key
from tests.integrations.examples import NOW, email, ticket
from tests.integrations.outbox.systems import did

Settings = Callable[..., IntegrationSettings]
ODD_IDS = st.lists(
    st.sampled_from(["@", "~", ":", "%", "1", "2", "north", "south", "@south", "~2", "~1", "\n", "c"]),
    max_size=6,
).map("".join)


def keys_of(call: str) -> list[str]:
    """Every key that an action of this call may have: at two destinations, and sent once more."""
    due = due_key_of(f"ticket:atoms:{call}")
    rows = [row_key(due, "north", is_first=True), row_key(due, "south", is_first=False)]
    return rows + [copy_key(row, number) for row in rows for number in (2, 13)]


@given(st.lists(ODD_IDS, unique=True, min_size=2, max_size=8))
@how(max_examples=400, deadline=None)
def test_no_two_actions_share_a_key(calls: list[str]) -> None:
    keys = [key for call in calls for key in keys_of(call)]
    assert len(set(keys)) == len(keys)
    due = [due_key_of(f"ticket:atoms:{call}") for call in calls]
    known = due + [copy_key(key, 2) for key in due]
    assert len(set(known)) == len(known)
    assert not any(is_copy(key) for key in due)
    assert all(is_copy(copy_key(key, number)) for key in due for number in (2, 10, 99))


@pytest.mark.parametrize("call", ["1", "CALL-17", "abc@10.0.0.1", "a:b:c", "conv_01~x", "50%", "a@b.example"])
def test_ordinary_keys_stay_as_they_are(call: str) -> None:
    key = f"ticket:atoms:{call}"
    assert due_key_of(key) == row_key(key, "north", is_first=True) == key
    assert row_key(key, "south", is_first=False) == f"{key}@south"


@how(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(ODD_IDS.filter(bool), unique=True, min_size=2, max_size=6))
def test_every_call_gets_its_action_at_every_destination(
    make_settings: Settings, outbox: Outbox, systems: Path, calls: list[str]
) -> None:
    settings = make_settings(tickets="north,south", emails="north,south")
    for name in ("north", "south"):
        (systems / f"{name}.did").unlink(missing_ok=True)
    with writing(outbox.engine) as write:
        write.connection.execute(text("DELETE FROM actions"))
    # One after the other: the second fill of a row must find the row, not another one.
    for call in calls:
        assert outbox.enqueue([ticket(call), email(call)], NOW, settings).created == 4
    report = outbox.enqueue([row for call in calls for row in (ticket(call), email(call))], NOW, settings)
    assert (report.created, report.unchanged) == (0, 4 * len(calls))
    for channel in ("ticket", "email"):
        assert dispatch(outbox, channel, settings, now=NOW).sent == 2 * len(calls)
    for name in ("north", "south"):
        keys = [line["key"] for line in did(systems, name)]
        assert len(set(keys)) == len(keys) == 2 * len(calls)
    rows = outbox.actions(limit=1_000)
    assert {(row.call_id, row.kind, row.destination) for row in rows} == {
        (call, kind, name)
        for call in calls
        for kind in ("ticket", "follow_up_email")
        for name in ("north", "south")
    }


def test_a_call_named_like_a_further_destinations_row(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    settings = make_settings(tickets="north,south")
    outbox.enqueue([ticket("1"), ticket("1@south"), ticket("2")], NOW, settings)
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 6
    assert [line["key"] for line in did(systems, "south")] == [
        "ticket:atoms:1", "ticket:atoms:1@south", "ticket:atoms:2",
    ]  # fmt: skip


@pytest.mark.parametrize("is_first", [True, False])
def test_a_call_named_like_what_was_sent_once_more(
    outbox: Outbox, make_settings: Settings, systems: Path, is_first: bool
) -> None:
    settings = make_settings(emails="north")
    due = [email("1~2"), email("1")] if is_first else [email("1")]
    outbox.enqueue(due, NOW, settings)
    dispatch(outbox, "email", settings, now=NOW)
    again = outbox.resend(email("1").action_key, "Ada")
    assert outbox.enqueue([email("1~2"), email("1")], NOW, settings).created == (not is_first)
    dispatch(outbox, "email", settings, now=NOW)
    assert again.startswith("follow_up_email:atoms:1~")
    keys = [line["key"] for line in did(systems, "north")]
    assert len(set(keys)) == len(keys) == 3
