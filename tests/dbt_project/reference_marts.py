"""Every mart that counts, but for the scorecards, counted again in plain Python from calls and actions.

Knows nothing of the models: definitions are those of `docs/data-dictionary.md`, written a second time.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from tests.dbt_project.reference_metrics import Call, percentile, share, slices

QUARTER = timedelta(minutes=15)
DAWN = datetime(2026, 1, 1)  # noqa: DTZ001 - UTC, as the marts have it
DROP_OFF_LAST_TURN = 40
Figures = dict[tuple[Any, ...], tuple[Any, ...]]


def _quarters(began: datetime, ended: datetime) -> Iterator[tuple[datetime, float]]:
    """The quarters of an hour of a span, and the seconds of it in each; the one it begins in has a row in any case."""
    quarter = began - (began - DAWN) % QUARTER
    yield quarter, (min(ended, quarter + QUARTER) - began).total_seconds()
    while (quarter := quarter + QUARTER) < ended:
        yield quarter, (min(ended, quarter + QUARTER) - quarter).total_seconds()


def concurrency(calls: Sequence[Call]) -> Figures:
    """By quarter of an hour, dimension and value: the most calls at once, and how many on average."""
    spans: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for call in calls:
        if call.ended and call.ended > call.began:
            for dimension in slices(call):
                spans[dimension].append((call.began, call.ended))
    figures_by_key: Figures = {}
    for dimension, lines in spans.items():
        for quarter in {quarter for began, ended in lines for quarter, _ in _quarters(began, ended)}:
            inside = [
                (max(b, quarter), min(e, quarter + QUARTER))
                for b, e in lines
                if b < quarter + QUARTER and e > quarter
            ]
            peak = max(sum(b <= moment < e for b, e in inside) for moment, _ in inside)
            seconds = sum((e - b).total_seconds() for b, e in inside)
            figures_by_key[(quarter, *dimension)] = peak, seconds / QUARTER.total_seconds()
    return figures_by_key


def volume(calls: Sequence[Call]) -> Figures:
    """By quarter of an hour, source, agent, direction and issue type: calls, answered ones, seconds on the line."""
    figures_by_key: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for call in calls:
        direction = call.outcome["direction"] or "unknown"
        for quarter, seconds in _quarters(call.began, call.ended or call.began):
            row = figures_by_key[quarter, call.source, call.agent, direction, call.outcome["issue_type"]]
            begins = quarter <= call.began
            row[0] += begins
            row[1] += begins and call.is_answered
            row[2] += seconds
    return {key: tuple(row) for key, row in figures_by_key.items()}


def transfer_reasons(calls: Sequence[Call]) -> Figures:
    """By day, source, agent, issue type and reason: calls, those transferred, asking, answered; of how many; shares."""
    groups: dict[tuple[Any, ...], list[Call]] = defaultdict(list)
    for call in calls:
        groups[call.day, call.source, call.agent, call.outcome["issue_type"]].append(call)
    figures_by_key: Figures = {}
    for group, members in groups.items():
        answered = sum(call.is_answered for call in members)
        wanting = [(call.transfer_reason or "not_said", call) for call in members if call.wants_a_person]
        for reason in {reason for reason, _ in wanting}:
            of_it = [call for given_reason, call in wanting if given_reason == reason]
            lost = sum(call.is_answered for call in of_it)
            asked = sum(bool(call.outcome["transferred"]) for call in of_it)
            transferred = sum(call.is_transferred for call in of_it)
            rates = share(lost, answered), share(len(of_it), len(wanting))
            figures_by_key[(*group, reason)] = len(of_it), transferred, asked, lost, answered, *rates
    return figures_by_key


def drop_off_points(calls: Sequence[Call]) -> Figures:
    """By source, agent, issue type and number of turns: calls that came so far, ended there, were left there."""
    groups: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    for call in calls:
        if call.is_dropped_off is not None:
            groups[call.source, call.agent, call.outcome["issue_type"]].append(call)
    figures_by_key: Figures = {}
    for group, members in groups.items():
        turns = [min(len(call.turns), DROP_OFF_LAST_TURN) for call in members]
        for number in set(turns):
            left = [call.is_dropped_off for call, had in zip(members, turns, strict=True) if had == number]
            figures_by_key[(*group, number)] = (
                sum(had >= number for had in turns),
                len(left),
                sum(map(bool, left)),
            )
    return figures_by_key


def conversation(call: Call) -> dict[str, Any]:
    """Who talked how much, and how long nobody did."""
    characters = {role: sum(len(turn.content) for turn in call.turns if turn.role == role) for role in _ROLES}
    return {
        "agent_talk_share": share(characters["agent"], sum(characters.values())),
        "agent_turn_count": sum(turn.role == "agent" for turn in call.turns),
        "customer_turn_count": sum(turn.role == "user" for turn in call.turns),
        "silence_seconds": sum(call.pauses) if call.pauses else None,
        "longest_pause_seconds": max(call.pauses, default=None),
    }


_ROLES = ("agent", "user")


def costs(calls: Sequence[Call], rates: Sequence[tuple[str, date, float, str, int]]) -> Figures:
    """By day, source, agent and currency: calls, minutes, cost. Rates: platform, first day, price, currency, step."""
    figures_by_key: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for call in calls:
        valid = [rate for rate in rates if rate[0] == call.source and rate[1] <= call.day]
        if call.seconds is None or not valid:
            continue
        _, _, price, currency, step = max(valid, key=lambda rate: rate[1])
        minutes = math.ceil(call.seconds / step) * step / 60
        row = figures_by_key[call.day, call.source, call.agent, currency]
        row[0] += 1
        row[1] += minutes
        row[2] += minutes * price
    return {key: tuple(row) for key, row in figures_by_key.items()}


def after_call_work(
    actions: Sequence[Mapping[str, Any]], ended: Mapping[str, datetime | None]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """By day, channel, kind and destination; `ended`: when the line of each call was closed, by call id."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for action in actions:
        day = (action["due_at"] or action["created_at"]).date()
        groups[day, action["channel"], action["kind"], action["destination"]].append(action)
    return {key: _work(group, ended) for key, group in groups.items()}


def _work(group: Sequence[Mapping[str, Any]], ended: Mapping[str, datetime | None]) -> dict[str, Any]:
    def count(*statuses: str) -> int:
        return sum(action["status"] in statuses for action in group)

    spans = []
    for action in group:
        hung_up = ended.get(action["call_id"])
        if action["sent_at"] and hung_up:
            spans.append((action["sent_at"] - hung_up).total_seconds())
    return {
        "action_count": len(group),
        "sent_count": count("sent"),
        "waiting_count": count("pending", "sending", "retrying"),
        "dead_count": count("dead"),
        "skipped_count": count("skipped"),
        "attempt_count": sum(action["attempts"] for action in group),
        "seconds_to_done_p50": percentile(sorted(spans), 0.5),
        "seconds_to_done_p95": percentile(sorted(spans), 0.95),
        "failure_rate": share(count("dead"), count("sent", "dead")),
    }
