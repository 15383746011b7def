"""Workers side by side: as many as the destination takes, in order where it matters, nothing lost and nothing twice."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Limits
from integrations.outbox import Outbox, dispatch, recorder, results, worker
from integrations.routes import routes
from tests.integrations.examples import NOW, contact, email, note, slack, task, ticket
from tests.integrations.outbox.systems import Desk, did, say
from tests.receiver.raw_client import wait_until

Settings = Callable[..., IntegrationSettings]


def limit(home: Path, **limits: float) -> None:
    lines = "\n".join(f"{name} = {value}" for name, value in limits.items())
    (home / "destinations.toml").write_text(f"[limits.north]\n{lines}\n")


def test_as_many_at_a_time_as_it_takes_each_with_its_own(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    limit(systems, concurrency=4)
    say(systems, "north", "together", "4")
    settings = make_settings(tickets="north")
    outbox.enqueue([ticket(f"{number}") for number in range(40)], NOW, settings)
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 40
    assert (Desk.most, Desk.opened) == (4, 4)
    assert len({line["key"] for line in did(systems, "north")}) == 40


def test_one_at_a_time_unless_it_says_more(outbox: Outbox, make_settings: Settings, systems: Path) -> None:
    settings = make_settings(tickets="north")
    outbox.enqueue([ticket(f"{number}") for number in range(5)], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW)
    assert (Desk.most, Desk.opened) == (1, 1)


def test_contact_note_task_and_messages_of_a_call_do_not_overtake_each_other(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    limit(systems, concurrency=8)
    say(systems, "north", "slow", "0.01")
    settings = make_settings(crm="north", chat="north")
    due = []
    for number in range(12):
        call, phone = f"{number}", f"+1202555{number:04}"
        due += [task(call, phone), note(call, phone), contact(phone)]
        due += [slack(call, kind) for kind in ("unhappy_customer", "vip_call", "transfer_requested")]
    outbox.enqueue(due, NOW, settings)
    assert dispatch(outbox, "crm", settings, now=NOW).sent == 36
    ended = {line["key"]: line["ended"] for line in did(systems, "north")}
    for line in did(systems, "north"):
        if line["key"].startswith("contact"):
            continue
        assert line["contact"] is not None
        assert ended[line["contact"].removeprefix("north/")] <= line["began"]
        if line["key"].startswith("task"):
            assert ended[line["key"].replace("task", "note")] <= line["began"]
    assert dispatch(outbox, "chat", settings, now=NOW).sent == 36
    messages = [line for line in did(systems, "north") if line["contact"] is None and "call" in line["key"]]
    assert sorted(len(line["earlier"]) for line in messages) == [2] * 12
    assert Desk.most > 2


def test_not_more_often_than_it_takes(outbox: Outbox, make_settings: Settings, systems: Path) -> None:
    limit(systems, concurrency=8, per_second=50)
    settings = make_settings(tickets="north")
    outbox.enqueue([ticket(f"{number}") for number in range(12)], NOW, settings)
    started = time.monotonic()
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 12
    assert max(line["began"] for line in did(systems, "north")) - started >= 11 / 50


def test_not_more_often_than_its_vendor_allows_where_the_file_says_nothing(
    outbox: Outbox, make_settings: Settings, systems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "routes", routes)  # with destinations' own pace, which other tests do without
    monkeypatch.setattr(Desk, "limits", Limits(concurrency=8, per_second=50), raising=False)
    settings = make_settings(tickets="north")
    outbox.enqueue([ticket(f"{number}") for number in range(12)], NOW, settings)
    started = time.monotonic()
    assert dispatch(outbox, "ticket", settings, now=NOW).sent == 12
    assert max(line["began"] for line in did(systems, "north")) - started >= 11 / 50


def test_a_probe_is_one_action_and_then_all_go_on(
    outbox: Outbox, make_settings: Settings, systems: Path
) -> None:
    limit(systems, concurrency=4)
    settings = make_settings(tickets="north", stop_after_unreachable=1)
    outbox.enqueue([ticket(f"{number}") for number in range(20)], NOW, settings)
    say(systems, "north", "fails", "paused")
    until = dispatch(outbox, "ticket", settings, now=NOW).paused_until
    assert until is not None
    Desk.most = 0
    dispatch(outbox, "ticket", settings, now=until)
    assert Desk.most == 1
    say(systems, "north", "fails")
    say(systems, "north", "slow", "0.02")
    outbox.resume("ticket")
    assert dispatch(outbox, "ticket", settings, now=until).sent == 20
    assert Desk.most == 4


@pytest.mark.parametrize("concurrency", [1, 5])
def test_when_the_outbox_cannot_be_written_nothing_more_is_sent(
    outbox: Outbox,
    make_settings: Settings,
    systems: Path,
    monkeypatch: pytest.MonkeyPatch,
    concurrency: int,
) -> None:
    limit(systems, concurrency=concurrency)
    settings = make_settings(tickets="north")
    outbox.enqueue([ticket(f"{number}") for number in range(30)], NOW, settings)
    real, calls = results.mark, []

    def full(*arguments: object) -> None:
        calls.append(1)
        if len(calls) > 3:
            raise OSError("disk full")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(recorder, "mark", full)
    threads_before = threading.active_count()
    with pytest.raises(OSError, match="disk full"):
        dispatch(outbox, "ticket", settings, now=NOW)
    sent = len(did(systems, "north"))
    marked = len(outbox.actions(status="sent"))
    assert marked < sent <= marked + concurrency
    wait_until(lambda: threading.active_count() <= threads_before)
    monkeypatch.setattr(recorder, "mark", real)
    dispatch(outbox, "ticket", settings, now=NOW)
    created = [line["key"] for line in did(systems, "north") if line["did"] == "create"]
    assert len(created) == len(set(created)) == 30


@pytest.mark.parametrize("tickets", ["north", "north,south"])
def test_an_interrupt_marks_what_is_under_way_and_begins_nothing_more(
    outbox: Outbox, make_settings: Settings, systems: Path, tickets: str
) -> None:
    limit(systems, concurrency=3)
    for name in ("north", "south"):
        say(systems, name, "slow", "0.1")
    settings = make_settings(tickets=tickets)
    outbox.enqueue([ticket(f"{number}") for number in range(200)], NOW, settings)

    def interrupt() -> None:
        while len(did(systems, "north")) < 5:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        dispatch(outbox, "ticket", settings, now=NOW)
    sent = len(did(systems, "north")) + len(did(systems, "south"))
    assert sent == len(outbox.actions(status="sent", limit=1_000)) < 100


def test_a_preview_never_stops(outbox: Outbox, make_settings: Settings) -> None:
    settings = make_settings(stop_after_refusals=2)
    outbox.enqueue([email(f"{number}", template="spam") for number in range(5)], NOW, settings)
    assert dispatch(outbox, "email", settings, now=NOW).dead == 5
    assert outbox.pauses() == []
