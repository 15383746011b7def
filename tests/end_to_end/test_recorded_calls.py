"""A thousand recorded calls, from the webhook to the outbox, against results computed without this project."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import homes
from tests.traffic import Traffic

PASSES = 10
LOADS_AND_BUILDS = 40
# what a pass does before it acts, for each part of the traffic in turn
LOAD_AND_BUILD = """
import sys
from orchestration.cli import main
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.warehouse import dbt
settings = OrchestrationSettings()
url, *parts = sys.argv[1:]
for part in parts:
    main(["replay", part, "--url", url], standalone_mode=False)
    assert pipeline.load_events(settings).read_bytes
    dbt.build(settings, ["--selector", "pass"])
"""


# each total by its name in what is expected
TOTALS = {
    "calls": "select count(*) from calls",
    "started": "select count(*) filter (has_start) from calls",
    "analysed": "select count(*) filter (has_analytics) from calls",
    "total_duration_seconds": "select round(sum(duration_seconds), 1) from calls",
    "total_turns": "select sum(turn_count) from calls",
    "customers": "select count(*) from customers",
}
COUNTS = {
    "by_direction": "select direction, count(*) from calls group by 1",
    "by_disposition": "select disposition, count(*) from call_outcomes group by 1",
    "by_issue_type": "select issue_type, count(*) from call_outcomes group by 1",
    "by_resolved": "select is_resolved, count(*) from call_outcomes group by 1",
    "by_satisfaction": "select satisfaction_score, count(*) from call_outcomes group by 1",
}
# each fact of a call by its name in what is expected
FACTS = {
    "call_id": "call_id", "direction": "direction", "customer_phone": "customer_phone",
    "duration_seconds": "duration_seconds", "turns": "turn_count", "disposition": "disposition",
    "satisfaction": "satisfaction_score", "resolved": "is_resolved", "issue_type": "issue_type", "vip": "is_vip",
    "transferred": "is_transfer_requested", "follow_up": "needs_follow_up", "has_start": "has_start",
    "has_analytics": "has_analytics",
}  # fmt: skip


def as_text(rows: list[tuple[object, ...]]) -> dict[str, object]:
    return {str(name): count for name, count in rows}


def actions(installation: Any) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = installation.outbox(
        "select action_key, channel, kind, status, attempts, payload_hash from actions order by 1"
    )
    return rows


def test_every_total_agrees(processed: Any, traffic: Traffic) -> None:
    total = traffic.totals
    for name in TOTALS.keys() & total.keys():
        assert processed.mart(TOTALS[name]) == [(total[name],)], name
    for name in COUNTS.keys() & total.keys():
        assert as_text(processed.mart(COUNTS[name])) == total[name], name
    assert processed.warehouse("select count(*) from raw.call_events") == [(total["distinct_events"],)]


def test_every_action_agrees(processed: Any, traffic: Traffic) -> None:
    total = traffic.totals
    rows = processed.outbox("select kind, status, payload from actions")
    kinds = Counter(kind for kind, _, _ in rows)
    assert {status for _, status, _ in rows} == {"sent", "skipped"}
    payloads = [(kind, status, json.loads(str(payload))) for kind, status, payload in rows]
    mails = Counter(p["template"] for kind, s, p in payloads if kind == "follow_up_email" and s == "sent")
    slack = Counter(p["slack_channel"] for _, s, p in payloads if "slack_channel" in p and s == "sent")
    skipped = sum(kind == "follow_up_email" and status == "skipped" for kind, status, _ in payloads)
    assert kinds["ticket"] == total["tickets"]
    assert dict(mails) == total["emails"]
    assert skipped == total["emails_without_address"]
    assert dict(slack) == total["slack"]
    assert kinds["contact"] == total["crm_contacts"]
    assert kinds["note"] == total["crm_notes"]
    assert kinds["task"] == total["crm_tasks"]
    assert processed.outbox("select count(*) from previews") == [
        (len(rows) - total["emails_without_address"],)
    ]


def test_every_call_agrees(processed: Any, traffic: Traffic) -> None:
    names = [name for name in FACTS if name in traffic.calls[0]]
    columns = ", ".join(FACTS[name] for name in names)
    rows = processed.mart(f"select {columns} from calls join call_outcomes using (source, call_id)")
    assert sorted(rows) == sorted(tuple(call[name] for name in names) for call in traffic.calls)


def test_what_was_done_flows_back(processed: Any) -> None:
    told = processed.mart("select action_key, status from actions order by 1")
    assert told == [row[:2] for row in processed.outbox("select action_key, status from actions order by 1")]


def test_the_same_traffic_again_changes_nothing(processed: Any, installation: Any, traffic: Traffic) -> None:
    homes.copy(processed.home, installation.home, with_landing=True)
    before = installation.marts(without=()), actions(installation)
    with installation.receiver():
        installation.aftercall("replay", str(traffic.file), "--url", installation.url)
    installation.aftercall("run")
    assert (installation.marts(without=()), actions(installation)) == before


@pytest.mark.slow
def test_in_reverse_order_forty_loads_and_builds_and_ten_passes_the_same_marts(
    processed: Any, installation: Any, traffic: Traffic, tmp_path: Path
) -> None:
    """Every fourth of forty parts ends with a whole pass, which also acts and publishes."""
    installation.built()
    parts = traffic.parts(tmp_path, LOADS_AND_BUILDS, in_reverse=True)
    size = LOADS_AND_BUILDS // PASSES
    with installation.receiver():
        for first in range(0, LOADS_AND_BUILDS, size):
            *built_alone, last = parts[first : first + size]
            installation.python(LOAD_AND_BUILD, installation.url, *built_alone)
            installation.aftercall("replay", last, "--url", installation.url)
            assert "done after" in installation.aftercall("run")
    assert installation.marts() == processed.marts()
