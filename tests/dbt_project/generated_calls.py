"""Calls of three weeks in which all happens that a metric tells apart: bodies of the generic source, and these read.

What is counted of them is in `recount.py` and `recount_marts.py`.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.dbt_project.reference_metrics import NOT_REACHED, Call, Turn, sentiment_of, utc

FIRST_DAY = datetime(2026, 10, 12)  # noqa: DTZ001 - UTC, as the marts have it
CALLS = 420
CATEGORIES = {
    "user hangup": "customer_hung_up", "agent hangup": "agent_hung_up", "call forwarded": "transferred",
    "reached voicemail": "voicemail", "no answer": "no_answer", "line busy": "busy", "rejected": "declined",
    "cancelled": "cancelled", "system error": "failed", "silence": "timeout", "zzz": None,
}  # fmt: skip
RESOLVES = {"successful": True, "unresolved": False, "transferred": False, "chatted": None}


def bodies(seed: int) -> list[dict[str, Any]]:
    """The bodies of all calls, call by call; always the same for a seed."""
    chance = random.Random(seed)
    return [body for number in range(CALLS) for body in _call(f"c{number:03d}", chance)]


def _call(call_id: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    began = FIRST_DAY + timedelta(days=chance.randrange(21), hours=chance.choice((8, 9, 14, 23)))
    began += timedelta(milliseconds=chance.randrange(3_600_000))
    seconds = chance.choice(
        (0.0, 4.0, 10.0, 10.001, *(round(chance.uniform(20, 1500), 3) for _ in range(8)), 30_000.5)
    )
    ended = began + timedelta(seconds=seconds)
    has_start, has_end, has_analytics = chance.choice(
        [(1, 1, 1)] * 8 + [(0, 1, 1), (1, 1, 0), (1, 0, 0), (0, 0, 1)]
    )
    who: dict[str, Any] = {
        "call_id": call_id,
        "agent_id": chance.choice(("mila", "theo", "sam", None)),
        "direction": chance.choice(("inbound", "inbound", "outbound", "web", None)),
        "customer_phone": chance.choice((None, *(f"+1202555{number:04d}" for number in range(100, 140)))),
        "variables": {"issue_type": chance.choice(("billing", "delivery", None))},
    }
    if has_start:
        yield _body("call.start", began, {**who, "started_at": _text(began)})
    if has_end:
        tier = {"customer_tier": chance.choice(("vip", "standard", None, None))}
        end_fields = {**who, "variables": {**who["variables"], **tier}, **_end(began, ended, chance)}
        yield _body("call.end", ended, end_fields)
    if has_analytics:
        yield _body("analytics.completed", ended + timedelta(seconds=4), {**who, "metrics": _metrics(chance)})


def _end(began: datetime, ended: datetime, chance: random.Random) -> dict[str, Any]:
    return {
        "ended_at": _text(ended),
        "duration_seconds": (ended - began).total_seconds(),
        "status": chance.choice((*["completed"] * 5, "no_answer", "busy", "failed", None)),
        "end_reason": chance.choice((*CATEGORIES, *["user hangup", "agent hangup", None] * 4)),
        "disposition": chance.choice((*RESOLVES, None)),
        "transcript": list(_transcript(began, chance)),
    }


def _transcript(began: datetime, chance: random.Random) -> Iterator[dict[str, Any]]:
    turns = chance.choice((0, 0, 1, *(chance.randrange(2, 30) for _ in range(4)), 45))
    is_timed, moment = chance.random() < 0.6, began
    for number in range(turns):
        until = moment + timedelta(milliseconds=chance.randrange(200, 9000))
        times = (
            {"timestamp": _text(moment), "until": _text(until)} if is_timed and chance.random() < 0.9 else {}
        )
        role = "user" if number % 2 else "agent"
        yield {"role": role, "content": "word" * chance.randrange(1, 40), **times}
        moment = until + timedelta(milliseconds=chance.randrange(-900, 7000))


def _metrics(chance: random.Random) -> dict[str, Any]:
    sent_metrics = {
        "satisfaction_score": chance.choice((1, 2, 3, 4, 5, None)),
        "issue_resolved": chance.choice((True, True, False, None)),
        "sentiment": chance.choice(("positive", "neutral", "negative", None, None)),
        "follow_up_needed": chance.choice((True, False, None)),
        "transfer_requested": chance.choice((True, False, None, None)),
        "transfer_reason": chance.choice(("wants_a_human", "too_hard", None)),
    }
    return {name: value for name, value in sent_metrics.items() if value is not None}


def _body(event: str, moment: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": event, "timestamp": _text(moment), "data": dict(data)}


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds") + "Z"


def calls_of(landed_bodies: Sequence[Mapping[str, Any]]) -> list[Call]:
    """The calls of these bodies, whatever their order."""
    events: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for body in landed_bodies:
        events[body["data"]["call_id"]][body["type"]] = body
    return [_read(call_events) for call_events in events.values()]


def _read(events: Mapping[str, Mapping[str, Any]]) -> Call:
    start, end, analytics = (
        events.get(name, {}).get("data", {}) for name in ("call.start", "call.end", "analytics.completed")
    )
    any_event = start or end or analytics
    ended, seconds = utc(end.get("ended_at")), end.get("duration_seconds")
    began = utc(start.get("started_at"))
    if began is None and ended is not None and seconds is not None:
        began = ended - timedelta(seconds=seconds)
    began = began or utc(events.get("analytics.completed", {}).get("timestamp"))
    assert began is not None
    call = Call(
        source="generic",
        agent=any_event["agent_id"] or "unknown",
        began=began,
        ended=ended,
        is_over=bool(end or analytics),
        turns=tuple(
            Turn(turn["role"], turn["content"], utc(turn.get("timestamp")), utc(turn.get("until")))
            for turn in end.get("transcript", ())
        ),
        outcome=_outcome(any_event, end, analytics),
        status=end.get("status"),
        end_category=CATEGORIES.get(end.get("end_reason") or ""),
        transfer_reason=analytics.get("metrics", {}).get("transfer_reason"),
    )
    if call.attempt in NOT_REACHED:  # the disposition is no outcome then
        named = analytics.get("metrics", {}).get("issue_resolved")
        return replace(call, outcome={**call.outcome, "resolved": named})
    return call


def _outcome(
    any_event: Mapping[str, Any], end: Mapping[str, Any], analytics: Mapping[str, Any]
) -> dict[str, Any]:
    metrics, disposition = analytics.get("metrics", {}), end.get("disposition")
    satisfaction = metrics.get("satisfaction_score")
    return {
        "call_id": any_event["call_id"],
        "direction": any_event["direction"],
        "customer_phone": any_event["customer_phone"],
        "duration_seconds": end.get("duration_seconds"),
        "disposition": disposition,
        "satisfaction": satisfaction,
        "sentiment": metrics.get("sentiment") or sentiment_of(satisfaction),
        "resolved": metrics.get("issue_resolved", RESOLVES.get(disposition or "")),
        "issue_type": any_event["variables"]["issue_type"] or "general",
        "vip": end.get("variables", {}).get("customer_tier") == "vip",
        "transferred": disposition == "transferred" or metrics.get("transfer_requested", False),
        "follow_up": metrics.get("follow_up_needed", False),
        "has_analytics": bool(analytics),
    }
