"""Every metric of the scorecard, counted again in plain Python from the bodies that were received and from the rules.

Knows nothing of the models: definitions are those of `docs/data-dictionary.md`, written a second time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

QUARTER = timedelta(minutes=15)
WEEK = timedelta(days=7)
ABANDONED_WITHIN_SECONDS = 10
Key = tuple[date, str, str]


@dataclass(frozen=True)
class Call:
    """What the metrics count of a call; `outcome` is its record in the results that were computed beforehand."""

    agent: str
    began: datetime
    ended: datetime | None
    is_over: bool
    roles: tuple[str, ...]
    outcome: Mapping[str, Any]

    @property
    def is_answered(self) -> bool:
        heard = "user" in self.roles
        is_long = float(self.outcome["duration_seconds"] or 0) > ABANDONED_WITHIN_SECONDS
        return self.is_over and (heard or (not self.roles and is_long))

    @property
    def is_abandoned(self) -> bool:
        return self.is_over and not self.is_answered

    @property
    def is_transferred(self) -> bool:
        return bool(self.outcome["disposition"] == "transferred")


def calls_of(bodies: Iterable[Mapping[str, Any]], outcomes: Sequence[Mapping[str, Any]]) -> list[Call]:
    """The calls of all bodies, each told by its start, end and analytics, whatever their order and however often."""
    said: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for body in bodies:
        inner = body.get("metadata") or body
        call_id = inner.get("callId") or inner["call_id"]
        said[call_id][inner.get("eventType") or inner["event"]] = inner
    return [_call(said[outcome["call_id"]], outcome) for outcome in outcomes]


def _call(events: Mapping[str, Mapping[str, Any]], outcome: Mapping[str, Any]) -> Call:
    end = events.get("call.end") or events.get("post-conversation") or {}
    line = end.get("callData") or events.get("analytics-completed", {}).get("callData") or {}
    start, analytics = events.get("call.start"), events.get("analytics.completed")
    ended = _at(line.get("endTime")) or ("duration_seconds" in end and _at(end["timestamp"])) or None
    began = _at(line.get("answerTime")) or (_at(start["timestamp"]) if start else None)
    if not began and outcome["call_id"].startswith("CALL-"):
        began = datetime.fromtimestamp(int(outcome["call_id"].split("-")[1]) / 1000, UTC).replace(tzinfo=None)
    if not began and ended:
        began = ended - timedelta(seconds=end["duration_seconds"])
    if not began and analytics:
        began = _at(analytics["timestamp"])
    assert began is not None, outcome
    any_event = next(iter(events.values()))
    return Call(
        agent=any_event.get("agentId") or any_event["agent_id"],
        began=began,
        ended=ended or None,
        is_over=bool(end or analytics or "analytics-completed" in events),
        roles=tuple(turn["role"] for turn in end.get("transcript") or ()),
        outcome=outcome,
    )


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) if text else None


def first_call_resolution(calls: Sequence[Call]) -> tuple[set[str], dict[str, bool]]:
    """The calls that repeat one, and for every first contact of known resolution whether it was resolved for good."""
    histories: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        if call.is_answered and call.outcome["customer_phone"] and call.outcome["direction"] != "outbound":
            histories[call.outcome["customer_phone"], call.outcome["issue_type"]].append(call)
    repeats: set[str] = set()
    resolved: dict[str, bool] = {}
    for history in histories.values():
        history.sort(key=lambda call: (call.began, call.outcome["call_id"]))
        repeated = set()
        for earlier, later in pairwise(history):
            if later.began - earlier.began <= WEEK:
                repeats.add(later.outcome["call_id"])
                repeated.add(earlier.outcome["call_id"])
        for call in history:
            name, outcome = call.outcome["call_id"], call.outcome["resolved"]
            if name not in repeats and outcome is not None:
                resolved[name] = outcome and name not in repeated
    return repeats, resolved


def scorecard(calls: Sequence[Call]) -> dict[Key, dict[str, float | None]]:
    """By day, dimension and value."""
    repeats, first = first_call_resolution(calls)
    groups: dict[Key, list[Call]] = defaultdict(list)
    for call in calls:
        for dimension, value in _slices(call):
            groups[call.began.date(), dimension, value].append(call)
    return {key: _metrics(group, repeats, first) for key, group in groups.items()}


def _slices(call: Call) -> Iterator[tuple[str, str]]:
    yield "all", "all"
    yield "source", "atoms"
    yield "agent", f"atoms:{call.agent}"
    yield "direction", call.outcome["direction"] or "unknown"
    yield "issue_type", call.outcome["issue_type"]


def _metrics(calls: list[Call], repeats: set[str], first: dict[str, bool]) -> dict[str, float | None]:
    def count(field: str, value: object) -> int:
        return sum(call.outcome[field] == value for call in calls)

    names = {call.outcome["call_id"] for call in calls}
    answered = [call for call in calls if call.is_answered]
    abandoned = sum(call.is_abandoned for call in calls)
    seconds = sorted(
        c.outcome["duration_seconds"] for c in answered if c.outcome["duration_seconds"] is not None
    )
    rated = {score: count("satisfaction", score) for score in range(1, 6)}
    resolved, unresolved = count("resolved", True), count("resolved", False)
    contained = sum(not (call.is_transferred or call.outcome["transferred"]) for call in answered)
    contacts = first.keys() & names
    return {
        "call_count": len(calls),
        "inbound_call_count": count("direction", "inbound"),
        "outbound_call_count": count("direction", "outbound"),
        "ended_call_count": sum(call.is_over for call in calls),
        "answered_call_count": len(answered),
        "abandoned_call_count": abandoned,
        "contained_call_count": contained,
        "transferred_call_count": sum(call.is_transferred for call in calls),
        "transfer_request_count": count("transferred", True),
        "resolved_call_count": resolved,
        "unresolved_call_count": unresolved,
        "first_contact_count": len(contacts),
        "first_call_resolved_count": sum(first[name] for name in contacts),
        "repeat_call_count": len(repeats & names),
        "follow_up_count": count("follow_up", True),
        "vip_call_count": count("vip", True),
        "rated_call_count": sum(rated.values()),
        **{f"rated_{score}_count": number for score, number in rated.items()},
        "satisfaction_sum": sum(score * number for score, number in rated.items()),
        "handled_call_count": len(seconds),
        "handle_seconds_sum": sum(seconds),
        "turn_count": sum(len(call.roles) for call in calls),
        "handle_seconds_p50": _percentile(seconds, 0.5),
        "handle_seconds_p90": _percentile(seconds, 0.9),
        "handle_seconds_p95": _percentile(seconds, 0.95),
        "answer_rate": _share(len(answered), len(answered) + abandoned),
        "abandonment_rate": _share(abandoned, len(answered) + abandoned),
        "containment_rate": _share(contained, len(answered)),
        "transfer_rate": _share(count("transferred", True), len(calls)),
        "resolution_rate": _share(resolved, resolved + unresolved),
        "first_call_resolution_rate": _share(sum(first[name] for name in contacts), len(contacts)),
        "csat": _share(rated[4] + rated[5], sum(rated.values())),
        "average_satisfaction": _share(sum(s * n for s, n in rated.items()), sum(rated.values())),
        "average_handle_seconds": _share(sum(seconds), len(seconds)),
    }


def _percentile(ordered: Sequence[float], part: float) -> float | None:
    if not ordered:
        return None
    place = (len(ordered) - 1) * part
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def concurrency(calls: Sequence[Call]) -> dict[datetime, tuple[int, float]]:
    """By quarter of an hour (UTC): the most calls at once, and how many on average."""
    found = {}
    timed = [(call.began, call.ended) for call in calls if call.ended and call.ended > call.began]
    first = min(began for began, _ in timed)
    quarter = first - (first - datetime(2026, 1, 1)) % QUARTER  # noqa: DTZ001 - UTC, as the marts have it
    while quarter < max(ended for _, ended in timed):
        inside = [
            (max(b, quarter), min(e, quarter + QUARTER))
            for b, e in timed
            if b < quarter + QUARTER and e > quarter
        ]
        if inside:
            peak = max(sum(b <= moment < e for b, e in inside) for moment, _ in inside)
            found[quarter] = peak, sum((e - b).total_seconds() for b, e in inside) / QUARTER.total_seconds()
        quarter += QUARTER
    return found
