"""The course of each simulated call, and which of its events leave the platform.

The shares below define the simulated contact centre. The bytes of an event belong to `bodies.py`, its delivery to
`simulate.py`, and the expected results to `oracle.py`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestration.simulator.dialogue import Mood, Turn, converse
from orchestration.simulator.language import TOPICS, Language
from orchestration.simulator.people import Customer, Customers
from orchestration.simulator.phones import OUR_LINES

WIRE_SHARE = 0.4
OUTBOUND_SHARE = 0.22
UNANSWERED_SHARE = 0.14
"""Of the outbound calls."""

RESOLVED_SHARE = 0.78
TRANSFERRED_SHARE = 0.2
"""Of the unresolved calls."""

FOLLOW_UP_SHARE = {True: 0.06, False: 0.35}
OPTIMISTIC_END_SHARE = 0.08
"""Of the unresolved calls in the seed dialect: the end reports a success that the analytics contradict."""

UNRATED_SHARE = 0.06
NO_ISSUE_TYPE_SHARE = 0.03
NO_START_SHARE, NO_ANALYTICS_SHARE, NO_END_SHARE = 0.015, 0.03, 0.01
ANALYSIS_SECONDS = (2.0, 8.0)
SATISFACTION_WEIGHTS = {True: (1, 3, 16, 38, 42), False: (26, 29, 28, 12, 5)}
"""Weights of the scores 1 to 5, by whether the issue was resolved; some unresolved calls score high."""


@dataclass(frozen=True)
class Call:
    """One simulated call: its facts, and which of its events are sent. Times are aware UTC."""

    number: int
    call_id: str
    dialect: str
    agent: str
    our_line: str
    customer: Customer
    is_outbound: bool
    unanswered: str | None
    issue_type: str | None
    started_at: datetime
    duration_seconds: float
    analysis_seconds: float
    turns: tuple[Turn, ...]
    is_resolved: bool
    end_disposition: str
    outcome: str
    analytics_have_outcome: bool
    transfer_reported_by: str | None
    satisfaction: int | None
    sentiment: str | None
    needs_follow_up: bool
    has_start: bool
    has_end: bool
    has_analytics: bool

    @property
    def ended_at(self) -> datetime:
        """The end of the call."""
        return self.started_at + timedelta(seconds=self.duration_seconds)

    @property
    def analysed_at(self) -> datetime:
        """The end of the platform's analysis, whether or not it is sent."""
        return self.ended_at + timedelta(seconds=self.analysis_seconds)

    @property
    def language(self) -> Language:
        """The customer's language."""
        return self.customer.language


def rng_for(seed: int, number: int, use: str) -> random.Random:
    """A random generator for one use in one call, independent of all others."""
    return random.Random(f"{seed}:{use}:{number}")  # noqa: S311


def make_calls(calls: int, seed: int, start: datetime, rate: float, first_end: float) -> Iterator[Call]:
    """The calls in the order of their ends: about `rate` per second, from `first_end` seconds on."""
    customers = Customers(calls, seed)
    arrivals = random.Random(f"{seed}:arrivals")  # noqa: S311
    ends_in = first_end
    for number in range(calls):
        ends_in += arrivals.expovariate(rate)
        yield _call(number, seed, customers, _whole_ms(start + timedelta(seconds=ends_in)))


def _call(number: int, seed: int, customers: Customers, ends_at: datetime) -> Call:
    rng = rng_for(seed, number, "call")
    customer = customers.draw(rng)
    dialect = "wire" if rng.random() < WIRE_SHARE else "seed"
    is_outbound = rng.random() < OUTBOUND_SHARE
    topic = rng.choice(TOPICS)
    unanswered = None
    if is_outbound and rng.random() < UNANSWERED_SHARE:
        unanswered = rng.choice(("no-answer", "no_answer", "busy"))
    is_resolved = rng.random() < RESOLVED_SHARE
    is_transferred = not is_resolved and rng.random() < TRANSFERRED_SHARE
    satisfaction = rng.choices((1, 2, 3, 4, 5), SATISFACTION_WEIGHTS[is_resolved])[0]
    needs_follow_up = not is_transferred and rng.random() < FOLLOW_UP_SHARE[is_resolved]
    reported_by = rng.choice(("disposition", "disposition", "metric", "variable")) if is_transferred else None
    mood = Mood(
        topic, is_outbound, is_resolved, satisfaction <= 2, satisfaction >= 4, is_transferred, needs_follow_up
    )
    agent = rng.choice(("Nora", "Theo", "Mila", "Sam"))
    turns, seconds = _spoken(customer, mood, agent, unanswered, rng)
    started_at = _whole_ms(ends_at - timedelta(seconds=seconds))
    sends = _sent(rng, dialect, unanswered is not None)
    return Call(
        number=number,
        call_id=_call_id(dialect, seed, number, started_at, rng),
        dialect=dialect,
        agent=agent,
        our_line=rng.choice(OUR_LINES),
        customer=customer,
        is_outbound=is_outbound,
        unanswered=unanswered,
        issue_type=None if rng.random() < NO_ISSUE_TYPE_SHARE else topic,
        started_at=started_at,
        duration_seconds=round((ends_at - started_at).total_seconds(), 3),
        analysis_seconds=round(rng.uniform(*ANALYSIS_SECONDS), 3),
        turns=turns,
        is_resolved=is_resolved,
        end_disposition=_end_disposition(rng, unanswered, is_resolved, reported_by),
        outcome=_outcome(is_resolved, reported_by),
        analytics_have_outcome=dialect == "wire" or rng.random() < 0.2,
        transfer_reported_by=reported_by,
        satisfaction=None if rng.random() < UNRATED_SHARE else satisfaction,
        sentiment=_sentiment(rng, satisfaction),
        needs_follow_up=needs_follow_up,
        has_start=sends[0],
        has_end=sends[1],
        has_analytics=sends[2],
    )


def _spoken(
    customer: Customer, mood: Mood, agent: str, unanswered: str | None, rng: random.Random
) -> tuple[tuple[Turn, ...], float]:
    amount = customer.language.money.format(rng.randrange(6, 240))
    fill = {"name": customer.name, "agent": agent, "amount": amount, "ref": f"{rng.randrange(10**6):06d}"}
    turns, seconds = converse(customer.language, mood, fill, rng)
    if unanswered is None:
        return turns, seconds
    return (), rng.uniform(18.0, 35.0) if unanswered != "busy" else rng.uniform(1.0, 4.0)


def _sent(rng: random.Random, dialect: str, is_unanswered: bool) -> tuple[bool, bool, bool]:
    """Which of start, end and analytics leave the platform.

    A wire call without its end has no analytics either: they would repeat the line data of the end, and the rules do
    not say whether such a call has ended. Calls in which nobody spoke are not analysed.
    """
    draw = rng.random()
    if draw < NO_END_SHARE:
        return True, False, dialect == "seed" and not is_unanswered
    if draw < NO_END_SHARE + NO_START_SHARE:
        return False, True, not is_unanswered
    draw -= NO_END_SHARE + NO_START_SHARE
    return True, True, not is_unanswered and draw >= NO_ANALYTICS_SHARE


def _end_disposition(
    rng: random.Random, unanswered: str | None, is_resolved: bool, reported_by: str | None
) -> str:
    """The disposition of a seed end: never a failure that the analytics deny, since due actions stay due."""
    if unanswered is not None:
        return "busy" if unanswered == "busy" else "no_answer"
    if is_resolved:
        return rng.choices(("successful", "resolved", "Completed Goal", "completed_goal"), (80, 10, 4, 6))[0]
    if reported_by == "disposition":
        return "transferred"
    if reported_by is None and rng.random() < OPTIMISTIC_END_SHARE:
        return "successful"
    return rng.choices(("unsuccessful", "unresolved", "failed"), (80, 14, 6))[0]


def _outcome(is_resolved: bool, reported_by: str | None) -> str:
    if reported_by == "disposition":
        return "transferred"
    return "successful" if is_resolved else "unsuccessful"


def _sentiment(rng: random.Random, satisfaction: int) -> str | None:
    if rng.random() < 0.15:
        return None
    return "negative" if satisfaction <= 2 else "neutral" if satisfaction == 3 else "positive"


def _call_id(dialect: str, seed: int, number: int, started_at: datetime, rng: random.Random) -> str:
    if dialect == "wire":
        return f"CALL-{round(started_at.timestamp() * 1000)}-{rng.getrandbits(24):06x}"
    return f"call_{started_at.astimezone(UTC):%y%m%d%H%M%S}_{seed}_{number:06d}"


def _whole_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
