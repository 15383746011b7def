"""What counts as missing, and what a recovery asks for: beside webhooks that came, late ones, and a kill."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.recovery import PLATFORMS
from orchestration.recovery.config import RecoverySettings
from orchestration.recovery.platform import Bounds
from orchestration.recovery.recover import recover
from orchestration.recovery.write_events import BATCH
from receiver.envelope import line, seal
from receiver.landing import open_landing
from receiver.sources import SOURCES
from tests.conftest import ROOT
from tests.orchestration.recovery.apis import Asked, ListApi
from tests.orchestration.recovery.conftest import KEY, Landed

HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


def webhooks(settings: OrchestrationSettings, api: ListApi, call: dict[str, Any], *types: str) -> None:
    """Land a call's own webhooks, as the receiver does."""
    store = open_landing(settings.landing)
    for body in PLATFORMS[api.name].bodies(call):
        told = {name: value for name, value in body.items() if name != "recovered"}
        facts = SOURCES[api.name].facts(told, {})
        if facts.event_type in types:
            sent = json.dumps(told).encode()
            store.append([line(seal(api.name, facts, sent, now()), sent)])
    store.close()


def test_only_what_is_missing_is_recovered_whether_the_rest_is_loaded_or_waits(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    whole, half, lost, waiting = api.calls = [
        api.dialect.call(number, now() - 5 * HOUR, 60) for number in range(4)
    ]
    webhooks(settings, api, whole, "call.end", "analytics.completed")
    webhooks(settings, api, half, "call.end")
    pipeline.load_events(settings)
    webhooks(settings, api, waiting, "call.end", "analytics.completed")
    report = recover(settings, recovery, api.name)
    recovered = {line["event_id"] for line in landed() if line["event_id"].startswith("recovered:")}
    assert recovered == {
        f"recovered:atoms:analytics.completed:{half['callId']}",
        f"recovered:atoms:analytics.completed:{lost['callId']}",
        f"recovered:atoms:call.end:{lost['callId']}",
    }
    assert [(day.listed, day.received, day.missing) for day in report.days if day.missing] == [(4, 2, 2)]
    # the details of complete calls are nobody's business
    assert len(api.details()) == 2
    webhooks(settings, api, lost, "call.end", "analytics.completed")
    after = recover(settings, recovery, api.name)
    assert [(day.listed, day.received, day.recovered) for day in after.days] == [(4, 3, 1)]
    assert after.landed == 0


def test_a_call_under_way_or_just_ended_may_still_get_its_webhooks(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    under_way = api.dialect.call(1, now() - HOUR, 0) | {"status": "in_progress", "duration": None}
    just_ended = api.dialect.call(2, now() - 10 * timedelta(minutes=1), 60)
    api.calls = [under_way, just_ended]
    assert recover(settings, recovery, api.name).missing == 0
    assert landed() == []
    under_way |= {"status": "completed", "duration": 60}
    impatient = recovery.model_copy(update={"recovery_grace_minutes": 5})
    assert recover(settings, impatient, api.name).missing == 2


def test_goes_on_from_the_newest_call_listed_less_the_look_back(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings
) -> None:
    newest = now() - 5 * HOUR
    api.calls = [api.dialect.call(1, now() - 30 * HOUR, 60), api.dialect.call(2, newest, 60)]
    recovery = recovery.model_copy(update={"recovery_look_back_hours": 40})
    recover(settings, recovery, api.name)
    first = api.lists()[0].query["dateFrom"]
    assert abs(datetime.fromisoformat(first) - (now() - 40 * HOUR)) < timedelta(minutes=5)
    recover(settings, recovery, api.name)
    again = datetime.fromisoformat(api.lists()[-1].query["dateFrom"])
    assert abs(again - (newest - 40 * HOUR)) < timedelta(milliseconds=1)


def test_what_could_not_be_landed_is_landed_the_next_time_although_it_is_listed_no_more(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    api.calls = [api.dialect.call(1, now() - 5 * HOUR, 60)]
    assert recover(settings, recovery, api.name, dry_run=True).missing == 1
    assert landed() == []
    api.calls.clear()
    assert recover(settings, recovery, api.name).landed == 2


def test_nothing_is_asked_while_the_warehouse_is_held(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings
) -> None:
    held: list[str] = []

    def look(asked: Asked) -> None:
        with (settings.home / "warehouse.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(asked.path)

    settings.home.mkdir()
    api.calls = [api.dialect.call(number, now() - 5 * HOUR, 60) for number in range(5)]
    api.on_request = look
    recover(settings, recovery, api.name)
    recover(settings, recovery, api.name)
    assert len(api.asked) > 7
    assert held == []


def test_half_an_emoji_and_strange_values_are_no_obstacle(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    odd = api.dialect.call(1, now() - 5 * HOUR, 60)
    odd |= {"variables": {"customer_name": "Ada \ud83d"}, "duration": "sixty", "type": 7, "new": [1 << 70]}
    nameless = api.dialect.call(2, now() - 5 * HOUR, 60) | {"callId": None}
    api.calls = [odd, nameless]
    recover(settings, recovery, api.name)
    assert {line["call_id"] for line in landed()} == {odd["callId"]}
    assert landed()[0]["payload"]["metadata"]["variables"]["customer_name"] == "Ada \ufffd"
    pipeline.load_events(settings)
    assert pipeline.landing_backlog(settings) == 0


def test_a_call_without_a_time_is_none_of_today(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    """Last year's call must not send mail because its time is not said."""
    timeless = api.dialect.call(1, now() - 5 * HOUR, 60)
    del timeless["createdAt"]
    api.calls = [timeless]
    since = now() - 400 * 24 * HOUR
    recover(settings, recovery, api.name, Bounds(since, since + 24 * HOUR))
    assert {datetime.fromisoformat(line["occurred_at"]) for line in landed()} == {since}


_RECOVER = """
import sys
from orchestration.cli import main
main(["recover", *sys.argv[1:]])
"""


def test_a_kill_in_the_middle_loses_nothing_and_repeats_little(
    api: ListApi, settings: OrchestrationSettings, recovery: RecoverySettings, landed: Landed
) -> None:
    """Killed on the second day at the 31st detail: the next one goes on with that day, less than a batch before."""
    reached, count = threading.Event(), 45

    def stop(_: Asked) -> None:
        if len(api.details()) == 31:
            reached.set()
            threading.Event().wait(20)

    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - 48 * HOUR
    api.page = 100
    api.calls = [api.dialect.call(number, start + number * HOUR, 60) for number in range(count)]
    api.on_request = stop
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AFTERCALL_")},
        "AFTERCALL_HOME": str(settings.home),
        "AFTERCALL_API_KEY_ATOMS": KEY,
        "AFTERCALL_API_URL_ATOMS": api.url,
        "AFTERCALL_RECOVERY_REQUESTS_PER_SECOND": "500",
    }
    command = [sys.executable, "-c", _RECOVER, "--since", start.isoformat()]
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    assert reached.wait(120)
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    before = len(landed())
    assert 0 < before < 2 * count
    api.on_request = lambda _: None
    lists = len(api.lists())
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=120, stderr=subprocess.DEVNULL)
    assert len({line["event_id"] for line in landed()}) == len(landed()) == 2 * count
    assert len(api.details()) <= count + BATCH
    assert api.lists()[lists].query["dateFrom"].startswith(f"{today - 24 * HOUR:%Y-%m-%d}")
