"""A thousand recorded calls, from the webhook to the outbox, against results computed without this project."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import homes
from tests.conftest import ARRIVAL, MARTS

PASSES = 10
LOADS_AND_BUILDS = 40
# what a pass does before it acts, for each part of the traffic in turn
LOAD_AND_BUILD = """
import sys
from orchestration import build
from orchestration.cli import main
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
settings = OrchestrationSettings()
url, *parts = sys.argv[1:]
for part in parts:
    main(["replay", part, "--url", url], standalone_mode=False)
    assert pipeline.load_events(settings).read_bytes
    build.build(settings, ["--selector", "pass"])
"""


@pytest.fixture(scope="module")
def wanted(calls_folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((calls_folder / "sgd.expected.json").read_text())
    return loaded


def as_text(rows: list[tuple[object, ...]]) -> dict[str, object]:
    return {str(name): count for name, count in rows}


def actions(installation: Any) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = installation.outbox(
        "select action_key, channel, kind, status, attempts, payload_hash from actions order by 1"
    )
    return rows


def test_every_total_agrees(processed: Any, wanted: dict[str, Any]) -> None:
    total = wanted["summary"]
    outcome = processed.mart(
        "select count(*), count(*) filter (has_start), count(*) filter (has_analytics),"
        " round(sum(duration_seconds), 1), sum(turn_count) from calls"
    )[0]
    assert outcome == (
        total["calls"], total["started"], total["analysed"],
        total["total_duration_seconds"], total["total_turns"],
    )  # fmt: skip
    assert processed.warehouse("select count(*) from raw.call_events") == [(total["distinct_events"],)]
    for column, name in (
        ("disposition", "by_disposition"),
        ("satisfaction_score", "by_satisfaction"),
        ("issue_type", "by_issue_type"),
    ):
        rows = processed.mart(f"select {column}, count(*) from call_outcomes group by 1")
        assert as_text(rows) == total[name]
    rows = processed.mart("select is_resolved, count(*) from call_outcomes group by 1")
    assert as_text(rows) == total["by_resolved"]
    rows = processed.mart("select direction, count(*) from calls group by 1")
    assert as_text(rows) == total["by_direction"]
    assert processed.mart("select count(*) from customers") == [(total["customers"],)]


def test_every_action_agrees(processed: Any, wanted: dict[str, Any]) -> None:
    total = wanted["summary"]
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


def test_every_call_agrees(processed: Any, wanted: dict[str, Any]) -> None:
    found = {
        row[0]: row[1:]
        for row in processed.mart(
            "select call_id, direction, customer_phone, duration_seconds, turn_count, disposition,"
            " satisfaction_score, is_resolved, issue_type, is_vip, is_transfer_requested, needs_follow_up,"
            " has_start, has_analytics from calls join call_outcomes using (source, call_id)"
        )
    }
    fields = (
        "direction", "customer_phone", "duration_seconds", "turns", "disposition", "satisfaction", "resolved",
        "issue_type", "vip", "transferred", "follow_up", "has_start", "has_analytics",
    )  # fmt: skip
    assert found == {call["call_id"]: tuple(call[name] for name in fields) for call in wanted["calls"]}


def test_what_was_done_flows_back(processed: Any) -> None:
    told = processed.mart("select action_key, status from actions order by 1")
    assert told == [row[:2] for row in processed.outbox("select action_key, status from actions order by 1")]


def test_the_same_traffic_again_changes_nothing(
    processed: Any, installation: Any, calls_folder: Path
) -> None:
    homes.copy(processed.home, installation.home, with_landing=True)
    before = installation.marts(without=()), actions(installation)
    with installation.receiver():
        installation.aftercall("replay", str(calls_folder / "sgd.ndjson"), "--url", installation.url)
    installation.aftercall("run")
    assert (installation.marts(without=()), actions(installation)) == before


def parts_in_reverse(calls_folder: Path, folder: Path, count: int) -> list[str]:
    """Files of the recorded deliveries, the last first."""
    lines = (calls_folder / "sgd.ndjson").read_bytes().splitlines(keepends=True)[::-1]
    size = -(-len(lines) // count)
    parts = [folder / f"{number}.ndjson" for number in range(count)]
    for number, part in enumerate(parts):
        part.write_bytes(b"".join(lines[number * size : (number + 1) * size]))
    return [str(part) for part in parts]


def test_in_reverse_order_and_ten_passes_the_same_marts(
    processed: Any, installation: Any, calls_folder: Path, tmp_path: Path
) -> None:
    installation.built()
    with installation.receiver():
        for part in parts_in_reverse(calls_folder, tmp_path, PASSES):
            installation.aftercall("replay", part, "--url", installation.url)
            assert "done after" in installation.aftercall("run")
    assert installation.marts() == processed.marts()


def test_in_reverse_order_and_forty_loads_and_builds_the_same_calls(
    processed: Any, installation: Any, calls_folder: Path, tmp_path: Path
) -> None:
    installation.built()
    with installation.receiver():
        parts = parts_in_reverse(calls_folder, tmp_path, LOADS_AND_BUILDS)
        installation.python(LOAD_AND_BUILD, installation.url, *parts)
    for mart in MARTS:
        columns = [str(row[0]) for row in processed.mart(f"describe {mart}") if row[0] not in ARRIVAL]
        rows = f"select {', '.join(columns)} from {{}} order by all"
        assert installation.warehouse(rows.format(f"marts.{mart}")) == processed.mart(rows.format(mart)), mart
