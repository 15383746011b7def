"""Every metric of the scorecards, counted again in plain Python from the bodies that were received and from the rules.

Knows nothing of the models: definitions are those of `docs/data-dictionary.md`, written a second time. The other marts
are counted in `recount_marts.py`, bodies of the generic source are read in `invented.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

WEEK = timedelta(days=7)
ABANDONED_WITHIN_SECONDS = 10
UNREACHED = ("no_answer", "busy", "declined", "voicemail", "cancelled")
NOT_REACHED = (*UNREACHED, "failed", "abandoned")
"""What the rules count as not reached: such a call has no outcome but one that its analytics name."""
Key = tuple[date, str, str]


@dataclass(frozen=True)
class Turn:
    """One turn of a transcript; the times are naive UTC, where the platform sends them."""

    role: str
    content: str = ""
    began: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class Call:
    """What the metrics count of a call; times are naive UTC. `outcome` holds what its events say came of it."""

    agent: str
    began: datetime
    ended: datetime | None
    is_over: bool
    turns: tuple[Turn, ...]
    outcome: Mapping[str, Any]
    source: str = "atoms"
    status: str | None = None
    end_category: str | None = None
    transfer_reason: str | None = None

    @property
    def seconds(self) -> float | None:
        duration: float | None = self.outcome["duration_seconds"]
        return duration

    @property
    def attempt(self) -> str:
        """What became of the attempt to talk: `answer_status`."""
        if not self.is_over:
            return "open"
        if self.status in ("no_answer", "busy"):  # the platform's own word, whatever its transcript holds
            return self.status
        if self.end_category == "voicemail":
            return "voicemail"
        if any(turn.role == "user" for turn in self.turns):
            return "answered"
        for reason in (self.end_category, self.status):
            if reason in (*UNREACHED, "failed"):
                return str(reason)
        if self.turns or (self.seconds is not None and self.seconds <= ABANDONED_WITHIN_SECONDS):
            return "abandoned"
        return "answered" if self.seconds is not None or self.outcome["has_analytics"] else "unknown"

    @property
    def is_answered(self) -> bool:
        return self.attempt == "answered"

    @property
    def is_transferred(self) -> bool:
        return self.outcome["disposition"] == "transferred" or self.end_category == "transferred"

    @property
    def wants_a_person(self) -> bool:
        return self.is_transferred or bool(self.outcome["transferred"])

    @property
    def is_dropped_off(self) -> bool | None:
        if self.attempt == "abandoned":
            return True
        if self.attempt != "answered" or self.end_category is None:
            return None
        return self.end_category == "customer_hung_up" and not self.outcome["resolved"]

    @property
    def is_contact(self) -> bool:
        """Whether a known customer turned to us and was heard."""
        return (
            self.is_answered
            and bool(self.outcome["customer_phone"])
            and self.outcome["direction"] != "outbound"
        )

    @property
    def pauses(self) -> list[float]:
        """Seconds between turns whose times are known; 0 where they overlap."""
        return [
            max((later.began - earlier.ended).total_seconds(), 0.0)
            for earlier, later in pairwise(self.turns)
            if earlier.ended and later.began
        ]

    @property
    def day(self) -> date:
        return self.began.date()


def calls_of(bodies: Iterable[Mapping[str, Any]], outcomes: Sequence[Mapping[str, Any]]) -> list[Call]:
    """The calls of all bodies, each told by its start, end and analytics, whatever their order and however often."""
    events_by_call: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for body in bodies:
        inner = body.get("metadata") or body
        call_id = inner.get("callId") or inner["call_id"]
        events_by_call[call_id][inner.get("eventType") or inner["event"]] = inner
    return [_call(events_by_call[outcome["call_id"]], outcome) for outcome in outcomes]


def _call(events: Mapping[str, Mapping[str, Any]], outcome: Mapping[str, Any]) -> Call:
    end = events.get("call.end") or events.get("post-conversation") or {}
    line = end.get("callData") or events.get("analytics-completed", {}).get("callData") or {}
    start, analytics = events.get("call.start"), events.get("analytics.completed")
    ended = utc(line.get("endTime")) or ("duration_seconds" in end and utc(end["timestamp"])) or None
    began = utc(line.get("answerTime")) or (utc(start["timestamp"]) if start else None)
    if not began and outcome["call_id"].startswith("CALL-"):
        began = datetime.fromtimestamp(int(outcome["call_id"].split("-")[1]) / 1000, UTC).replace(tzinfo=None)
    if not began and ended:
        began = ended - timedelta(seconds=end["duration_seconds"])
    if not began and analytics:
        began = utc(analytics["timestamp"])
    assert began is not None, outcome
    any_event = next(iter(events.values()))
    status = line.get("callStatus")
    return Call(
        agent=any_event.get("agentId") or any_event["agent_id"],
        began=began,
        ended=ended or None,
        is_over=bool(end or analytics or "analytics-completed" in events),
        turns=tuple(Turn(turn["role"], turn["content"]) for turn in end.get("transcript") or ()),
        outcome={**outcome, "sentiment": _sentiment(events, outcome["satisfaction"])},
        status=status.replace("-", "_") if status else None,
    )


def _sentiment(events: Mapping[str, Mapping[str, Any]], satisfaction: int | None) -> str:
    sent_metrics = events.get("analytics.completed", {}).get("metrics", {})
    listed = events.get("analytics-completed", {}).get("analytics", {}).get("dispositionMetrics", ())
    sent_metrics = sent_metrics or {metric["identifier"]: metric["value"] for metric in listed}
    return str(sent_metrics.get("sentiment") or sentiment_of(satisfaction))


def sentiment_of(satisfaction: int | None) -> str:
    """What the score alone tells."""
    if satisfaction is None:
        return "unknown"
    return "positive" if satisfaction >= 4 else "negative" if satisfaction <= 2 else "neutral"


def utc(text: str | None) -> datetime | None:
    """An ISO 8601 time as the marts have it."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) if text else None


def first_call_resolution(calls: Sequence[Call]) -> tuple[set[str], dict[str, bool]]:
    """The calls that repeat one, and for every first contact of known resolution whether it was resolved for good."""
    histories: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        if call.is_contact:
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


def monday(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


def scorecard(calls: Sequence[Call], period: str = "daily") -> dict[Key, dict[str, float | None]]:
    """By first day of the day or week, dimension and value; each beside the same period a week before."""
    repeats, first = first_call_resolution(calls)
    groups: dict[Key, list[Call]] = defaultdict(list)
    for call in calls:
        for dimension, value in slices(call):
            began = monday(call.day) if period == "weekly" else call.day
            groups[began, dimension, value].append(call)
    cards = {key: _metrics(group, repeats, first) for key, group in groups.items()}
    return {
        (began, dimension, value): card | _changes(card, cards.get((began - WEEK, dimension, value)))
        for (began, dimension, value), card in cards.items()
    }


def slices(call: Call) -> Iterator[tuple[str, str]]:
    """The dimensions and values that a call counts to."""
    yield "all", "all"
    yield "source", call.source
    yield "agent", f"{call.source}:{call.agent}"
    yield "direction", call.outcome["direction"] or "unknown"
    yield "issue_type", call.outcome["issue_type"]


def _changes(
    card: Mapping[str, float | None], before: Mapping[str, float | None] | None
) -> dict[str, float | None]:
    def change(name: str) -> float | None:
        now, then = card[name], before[name] if before else None
        return None if now is None or then is None else now - then

    return {
        "call_count_week_before": before["call_count"] if before else None,
        "csat_week_before": before["csat"] if before else None,
        **{f"{name}_change": change(name) for name in ("csat", "average_satisfaction", "resolution_rate")},
    }


def _metrics(calls: list[Call], repeats: set[str], first: dict[str, bool]) -> dict[str, float | None]:
    counts = _counts(calls, repeats, first)
    seconds = sorted(c.seconds for c in calls if c.is_answered and c.seconds is not None)
    return {
        **counts,
        "handle_seconds_sum": sum(seconds),
        "handle_seconds_p50": percentile(seconds, 0.5),
        "handle_seconds_p90": percentile(seconds, 0.9),
        "handle_seconds_p95": percentile(seconds, 0.95),
        "average_handle_seconds": share(sum(seconds), len(seconds)),
        **_rates(counts),
        **_callers(calls, repeats),
        **conversations(calls),
    }


def _counts(calls: list[Call], repeats: set[str], first: dict[str, bool]) -> dict[str, int]:
    def count(field: str, value: object) -> int:
        return sum(call.outcome[field] == value for call in calls)

    def attempts(*became: str) -> int:
        return sum(call.attempt in became for call in calls)

    names = {call.outcome["call_id"] for call in calls}
    rated = {score: count("satisfaction", score) for score in range(1, 6)}
    contacts = first.keys() & names
    return {
        "call_count": len(calls),
        "inbound_call_count": count("direction", "inbound"),
        "outbound_call_count": count("direction", "outbound"),
        "ended_call_count": sum(call.is_over for call in calls),
        "answered_call_count": attempts("answered"),
        "abandoned_call_count": attempts("abandoned"),
        "unreached_call_count": attempts(*UNREACHED),
        "failed_call_count": attempts("failed"),
        "contained_call_count": sum(call.is_answered and not call.wants_a_person for call in calls),
        "transferred_call_count": sum(call.is_transferred for call in calls),
        "transfer_request_count": count("transferred", True),
        "dropped_off_call_count": sum(call.is_dropped_off is True for call in calls),
        "resolved_call_count": count("resolved", True),
        "unresolved_call_count": count("resolved", False),
        "first_contact_count": len(contacts),
        "first_call_resolved_count": sum(first[name] for name in contacts),
        "repeat_call_count": len(repeats & names),
        "follow_up_count": count("follow_up", True),
        "vip_call_count": count("vip", True),
        "rated_call_count": sum(rated.values()),
        **{f"rated_{score}_count": number for score, number in rated.items()},
        **{f"{mood}_call_count": count("sentiment", mood) for mood in ("positive", "neutral", "negative")},
        "satisfaction_sum": sum(score * number for score, number in rated.items()),
        "handled_call_count": sum(call.is_answered and call.seconds is not None for call in calls),
        "turn_count": sum(len(call.turns) for call in calls),
    }


def _callers(calls: list[Call], repeats: set[str]) -> dict[str, float | None]:
    phones = {call.outcome["customer_phone"] for call in calls if call.is_contact}
    again = {call.outcome["customer_phone"] for call in calls if call.outcome["call_id"] in repeats}
    return {
        "caller_count": len(phones),
        "repeat_caller_count": len(again),
        "repeat_caller_rate": share(len(again), len(phones)),
    }


def conversations(calls: Sequence[Call]) -> dict[str, float | None]:
    """How the calls were talked on, taken together."""
    turns = [turn for call in calls for turn in call.turns]
    agent, customer = ([turn for turn in turns if turn.role == role] for role in ("agent", "user"))
    agent_characters = sum(len(turn.content) for turn in agent)
    talked = sum(bool(call.turns) for call in calls)
    pauses = [call.pauses for call in calls if call.pauses]
    return {
        "agent_talk_share": share(
            agent_characters, agent_characters + sum(len(turn.content) for turn in customer)
        ),
        "average_agent_turns": share(len(agent), talked),
        "average_customer_turns": share(len(customer), talked),
        "average_silence_seconds": share(sum(map(sum, pauses)), len(pauses)),
        "max_pause_seconds": max(map(max, pauses), default=None),
    }


def _rates(counts: Mapping[str, int]) -> dict[str, float | None]:
    def of(part: str, *whole: str) -> float | None:
        return share(counts[part], sum(counts[one] for one in whole))

    answered, abandoned = "answered_call_count", "abandoned_call_count"
    attempted = (answered, abandoned, "unreached_call_count", "failed_call_count")
    return {
        "answer_rate": of(answered, *attempted),
        "no_answer_rate": of("unreached_call_count", *attempted),
        "abandonment_rate": of(abandoned, answered, abandoned),
        "containment_rate": of("contained_call_count", answered),
        "transfer_rate": of("transfer_request_count", "call_count"),
        "resolution_rate": of("resolved_call_count", "resolved_call_count", "unresolved_call_count"),
        "first_call_resolution_rate": of("first_call_resolved_count", "first_contact_count"),
        "repeat_call_rate": of("repeat_call_count", answered),
        "drop_off_rate": of("dropped_off_call_count", answered, abandoned),
        "csat": share(counts["rated_4_count"] + counts["rated_5_count"], counts["rated_call_count"]),
        "average_satisfaction": of("satisfaction_sum", "rated_call_count"),
    }


def percentile(ordered: Sequence[float], part: float) -> float | None:
    """The value below which a part lies, between two values in proportion."""
    if not ordered:
        return None
    place = (len(ordered) - 1) * part
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def share(part: float, whole: float) -> float | None:
    """Null for a part of nothing."""
    return part / whole if whole else None
