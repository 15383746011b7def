"""The totals that the generator promises, against a second reading of RULES from the bodies alone.

The reader below parses what is posted and shares nothing with the generator; the recorded calls and their
own expected totals show that the reader itself is right.
"""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestration.simulator import expected, simulate

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
RECORDED = Path(__file__).parents[4] / "shared" / "calls"
SPOKEN_FOR = {"successful": True, "resolved": True, "completed_goal": True} | dict.fromkeys(
    ("unsuccessful", "unresolved", "failed", "transferred"), False
)


def read(bodies: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    """What is known of each call after all bodies, in whatever order they came."""
    calls: dict[str, dict[str, Any]] = {}
    for body in bodies:
        event = json.loads(body)
        if "metadata" in event:
            read_wire(calls.setdefault(event["metadata"]["callId"], {}), event["metadata"])
        else:
            read_seed(calls.setdefault(event["call_id"], {}), event)
    return calls


def read_seed(call: dict[str, Any], event: dict[str, Any]) -> None:
    call[event["event"]] = True
    if event["event"] == "call.start":
        call["phone"] = "+" + "".join(filter(str.isdigit, event["caller_phone"]))
    elif event["event"] == "call.end":
        call["said"] = event["disposition"].lower().replace(" ", "_")
        call["turns"] = len(event["transcript"])
        call["variables"] = event["variables"]
    else:
        call["metrics"] = event["metrics"]


def read_wire(call: dict[str, Any], data: dict[str, Any]) -> None:
    kind = {"pre-conversation": "call.start", "post-conversation": "call.end"}.get(data["eventType"])
    call[kind or "analytics.completed"] = True
    inbound = data["conversationType"] == "telephonyInbound"
    if kind == "call.start":
        call["phone"] = data["fromPhone"] if inbound else data["toPhone"]
        return
    call["phone"] = data["callData"]["fromNumber" if inbound else "toNumber"]
    if kind == "call.end":
        call["turns"] = len(data["transcript"])
        call["variables"] = data["variables"]
    else:
        measures = data["analytics"]["dispositionMetrics"] + data["analytics"]["successMetrics"]
        call["metrics"] = {metric["identifier"]: metric["value"] for metric in measures}


def totals(calls: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """RULES, read a second time."""
    emails: Counter[str] = Counter()
    slack: Counter[str] = Counter()
    priorities: Counter[str] = Counter()
    count: Counter[str] = Counter(calls=len(calls))
    scores: list[int] = []
    phones: set[str] = set()
    for call in calls.values():
        variables, metrics = call.get("variables", {}), call.get("metrics", {})
        disposition = metrics.get("call_outcome", call.get("said"))
        resolved = metrics.get("issue_resolved", SPOKEN_FOR.get(disposition))
        score = metrics.get("satisfaction_score")
        transfer = disposition == "transferred" or any(
            fields.get("transfer_requested") in (True, "true") for fields in (variables, metrics)
        )
        vip = variables.get("customer_tier") == "vip"
        phone = call.get("phone") or variables.get("user_number")
        if phone:
            phones.add(phone)
        for event, name in (
            ("call.start", "started"),
            ("call.end", "ended"),
            ("analytics.completed", "analysed"),
        ):
            count[name] += event in call
        count["turns"] += call.get("turns", 0)
        count["resolved"] += resolved is True
        count["tickets"] += resolved is False
        count["crm_tasks"] += resolved is False or bool(metrics.get("follow_up_needed"))
        if score is not None:
            scores.append(score)
        if resolved is False:
            step = {"positive": 0, "neutral": 1, "negative": 2}.get(metrics.get("sentiment", ""))
            if step is None:
                step = 1 if score is None or score == 3 else 0 if score > 3 else 2
            priorities[["low", "normal", "high", "urgent"][step + transfer]] += 1
        template = None
        if metrics:
            if score is not None and score <= 2:
                template = "apology_escalation"
            elif resolved is False:
                template = "additional_resources"
            elif resolved and score is not None and score >= 4:
                template = "thank_you"
        if template and variables.get("customer_email"):
            emails[template] += 1
        elif template:
            count["emails_without_address"] += 1
        slack["#support"] += transfer
        slack["#alerts"] += score is not None and score <= 2
        slack["#vip"] += vip and "call.end" in call
    return {
        **count,
        "satisfaction": sum(scores) / len(scores) if scores else None,
        "emails": dict(emails),
        "slack": {channel: number for channel, number in slack.items() if number},
        "tickets_by_priority": dict(priorities),
        "crm_contacts": len(phones),
        "crm_notes": count["ended"],
    }


@pytest.mark.parametrize(("calls", "seed"), [(0, 1), (1, 2), (200, 1), (200, 42), (2000, 7)])
def test_the_promised_totals_are_those_that_the_bodies_tell(calls: int, seed: int) -> None:
    promised = expected(calls, seed, START)
    counted = totals(read(delivery.body for delivery in simulate(calls, seed, START)))
    differing = {
        name: (getattr(promised, name), value)
        for name, value in counted.items()
        if getattr(promised, name) != value
    }
    assert not differing
    assert promised.unresolved == promised.tickets


def test_events_and_actions_are_counted() -> None:
    promised = expected(500, 3, START)
    assert promised.events == len({delivery.body for delivery in simulate(500, 3, START)})
    assert promised.events == promised.started + promised.ended + promised.analysed
    parts = (
        promised.tickets
        + sum(promised.emails.values())
        + promised.emails_without_address
        + sum(promised.slack.values())
        + promised.crm_contacts
        + promised.crm_notes
        + promised.crm_tasks
    )
    assert promised.actions == parts


@pytest.mark.skipif(
    not (RECORDED / "sgd.ndjson").exists(), reason="needs the recorded calls in ../shared/calls"
)
def test_the_reader_finds_what_is_known_of_the_recorded_calls() -> None:
    with (RECORDED / "sgd.ndjson").open(encoding="utf-8") as lines:
        counted = totals(read(json.dumps(json.loads(line)["body"]).encode() for line in lines))
    known = json.loads((RECORDED / "sgd.expected.json").read_text(encoding="utf-8"))["summary"]
    for name in ("calls", "started", "analysed", "tickets", "emails", "emails_without_address", "slack"):
        assert counted[name] == known[name], name
    for name in ("crm_contacts", "crm_notes", "crm_tasks"):
        assert counted[name] == known[name], name
    assert counted["turns"] == known["total_turns"]
    assert counted["resolved"] == known["by_resolved"]["True"]
