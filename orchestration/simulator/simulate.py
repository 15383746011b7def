"""A busy morning at a contact centre, as the deliveries that reach a receiver.

Calls end one after the other from `start` on, so a delivery posted at its time is as old as its body says. The course
of calls belongs to `calls.py`, their expected results to `oracle.py`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from orchestration.simulator.bodies import event_bodies
from orchestration.simulator.calls import Call, make_calls, rng_for
from orchestration.simulator.delivery import Delivery

TWICE_SHARE, LATE_SHARE = 0.05, 0.04
LATE_SECONDS = (6.0, 20.0)
"""Delay of a late delivery; a late end usually arrives after its own analytics."""

LEAD_SECONDS = 15.0
"""A call's start is posted at most this long before its end, so that a short simulation begins at once."""


def simulate(
    calls: int, seed: int, start: datetime, *, rate: float = 2.0, lead_seconds: float = LEAD_SECONDS
) -> Iterator[Delivery]:
    """Deliveries of `calls` calls, ordered by their time `at`; the same bytes for the same arguments.

    `start` is aware; about `rate` calls end in each second after `start` + `lead_seconds`. The
    timestamps of events fit the call (a call of three minutes started three minutes before its end, which may be
    before `start`); only `at` is compressed. Raises ValueError for a naive `start` or a rate that is
    not above zero.
    """
    waiting: list[tuple[datetime, int, int, Delivery]] = []
    for call in planned(calls, seed, start, rate=rate, lead_seconds=lead_seconds):
        settled = call.ended_at - timedelta(seconds=lead_seconds)
        while waiting and waiting[0][0] <= settled:
            yield heapq.heappop(waiting)[-1]
        for part, delivery in enumerate(_deliveries(call, seed, lead_seconds)):
            heapq.heappush(waiting, (delivery.at, call.number, part, delivery))
    while waiting:
        yield heapq.heappop(waiting)[-1]


def planned(
    calls: int, seed: int, start: datetime, *, rate: float = 2.0, lead_seconds: float = LEAD_SECONDS
) -> Iterator[Call]:
    """The calls behind `simulate` with the same arguments."""
    if start.tzinfo is None:
        raise ValueError("start has no time zone: pass an aware datetime, for example datetime.now(UTC)")
    if rate <= 0:
        raise ValueError(f"the rate must be above zero calls a second, not {rate}")
    return make_calls(calls, seed, start, rate, lead_seconds)


def _deliveries(call: Call, seed: int, lead_seconds: float) -> Iterator[Delivery]:
    rng = rng_for(seed, call.number, "deliveries")
    bodies = event_bodies(call, rng_for(seed, call.number, "bodies"))
    for event, body in bodies.items():
        at = _due(call, event, lead_seconds, rng) + timedelta(seconds=rng.uniform(0.05, 0.6))
        if event != "start" and rng.random() < LATE_SHARE:
            at += timedelta(seconds=rng.uniform(*LATE_SECONDS))
        yield Delivery("atoms", body, at)
        if rng.random() < TWICE_SHARE:
            yield Delivery("atoms", body, at + timedelta(seconds=rng.uniform(0.1, 5.0)))


def _due(call: Call, event: str, lead_seconds: float, rng: random.Random) -> datetime:
    if event == "end":
        return call.ended_at
    if event == "analytics":
        return call.analysed_at
    lead = min(call.duration_seconds, lead_seconds * rng.uniform(0.4, 1.0))
    return call.ended_at - timedelta(seconds=lead)
