"""A thousand recorded calls, from the webhook to the outbox, against results computed without this project."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

PASSES = 40
AT_A_TIME = 10
# the commands a person would give, ten passes in one process: starting them would take longer than all they do
MANY_PASSES = """
import sys
from orchestration.cli import main
url, *parts = sys.argv[1:]
for part in parts:
    main(["replay", part, "--url", url], standalone_mode=False)
    main(["run"], standalone_mode=False)
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


def test_the_same_traffic_again_changes_nothing(processed: Any, calls_folder: Path) -> None:
    before = processed.marts(without=()), actions(processed)
    with processed.receiver():
        processed.aftercall("replay", str(calls_folder / "sgd.ndjson"), "--url", processed.url)
    processed.aftercall("run")
    assert (processed.marts(without=()), actions(processed)) == before


@pytest.mark.timeout(2_400)
def test_in_reverse_order_and_forty_passes_the_same_marts(
    processed: Any, installation: Any, calls_folder: Path, tmp_path: Path
) -> None:
    lines = (calls_folder / "sgd.ndjson").read_bytes().splitlines(keepends=True)[::-1]
    size = -(-len(lines) // PASSES)
    parts = [tmp_path / f"{number}.ndjson" for number in range(PASSES)]
    for number, part in enumerate(parts):
        part.write_bytes(b"".join(lines[number * size : (number + 1) * size]))
    with installation.receiver():
        for start in range(0, PASSES, AT_A_TIME):
            some = map(str, parts[start : start + AT_A_TIME])
            said = installation.python(MANY_PASSES, installation.url, *some)
            assert said.count("done after") == AT_A_TIME
    assert installation.marts() == processed.marts()
