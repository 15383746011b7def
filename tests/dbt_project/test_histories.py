"""Whatever happens to the events of a call on their way, the marts depend only on which distinct events arrived.

Calls of every platform share a warehouse, since a build costs the same for one as for many: each gets its own history,
in which events are lost, repeated, late by one or two passes, and in any order.

When an event was received decides only what nothing else does: which of two events that count alike and say the same
time, or none, is the newer, and when a call took place of which no event says it. Such calls are told twice with the
same receipts, all others with receipts drawn anew.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import ARRIVAL

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

    Land = Callable[[str, bytes, bool], Event]
PASSES = 3
CALLS_OF_EACH = 4
# a pass costs seconds, so few examples; smaller ones would tell little more
FEW = settings(
    max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True)
class RecordedCall:
    """All that a platform's documented bodies tell about one call."""

    platform: str
    call_id: str
    bodies: tuple[tuple[bytes, bool], ...]

    def again(self, number: int, land: "Land") -> list["Event"]:
        """The events of another call that is told the same."""
        other = f"{self.call_id[:-3]}{number:03d}"
        return [
            land(self.platform, body.replace(self.call_id.encode(), other.encode()), is_form)
            for body, is_form in self.bodies
        ]


@pytest.fixture(scope="module")
def recorded(bodies: list[tuple[str, bytes, bool]], land: "Land") -> list[RecordedCall]:
    calls: dict[tuple[str, str], list[tuple[bytes, bool]]] = {}
    for platform, body, is_form in bodies:
        call_id = land(platform, body, is_form).call_id
        if call_id is not None:
            calls.setdefault((platform, call_id), []).append((body, is_form))
    return [RecordedCall(*key, tuple(events)) for key, events in calls.items()]


def marts(warehouse: "Warehouse") -> dict[str, list[Any]]:
    """Every row of every mart, but for when its events came."""
    return {
        relation: warehouse.rows(
            f"select {', '.join(name for name in columns if name not in ARRIVAL)} from marts.{relation} order by all"
        )
        for relation, columns in warehouse.relations("marts").items()
    }


def deliveries(chance: random.Random, events: Sequence["Event"]) -> list[list["Event"]]:
    """Pass by pass: each event never, once, or several times, at any moment."""
    passes: list[list[Event]] = [[] for _ in range(PASSES)]
    for event in events:
        for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
            passes[chance.randrange(PASSES)].append(event)
    for number, arrived in enumerate(passes):
        chance.shuffle(arrived)
        passes[number] = [
            replace(event, received_at=f"2026-11-02T1{number}:00:00.{position:06d}")
            for position, event in enumerate(arrived)
        ]
    return passes


def received_anew(chance: random.Random, events: Sequence["Event"]) -> list["Event"]:
    """The events, at other moments where each event of a call says a time of its own."""
    times = Counter((event.source, event.call_id, event.occurred_at) for event in events)
    undecided = {key[:2] for key, number in times.items() if key[2] is None or number > 1}
    return [
        event
        if (event.source, event.call_id) in undecided
        else replace(event, received_at=f"2026-11-02T13:00:00.{chance.randrange(10**6):06d}")
        for event in events
    ]


@pytest.mark.slow
def test_the_marts_depend_only_on_what_arrived(
    built_warehouse: "Callable[[], Warehouse]", recorded: list[RecordedCall], land: "Land"
) -> None:
    events = [
        event for call in recorded for number in range(CALLS_OF_EACH) for event in call.again(number, land)
    ]
    assert {event.source for event in events} == {call.platform for call in recorded}

    # one draw, from which everything follows: what hypothesis would make of hundreds is one event or none
    @FEW
    @given(seed=st.integers(1, 1 << 32))
    def run(seed: int) -> None:
        chance = random.Random(seed)
        passes = deliveries(chance, events)
        arrived: dict[str, Event] = {}
        for one in passes:
            arrived = {event.key: event for event in one} | arrived
        warehouse, in_order = built_warehouse(), built_warehouse()
        for one in passes:
            warehouse.load(one)
            warehouse.build_pass()
        first = [arrived[event.key] for event in events if event.key in arrived]
        second = received_anew(chance, first)
        assert len(second) // 4 < sum(one != other for one, other in zip(first, second, strict=True))
        in_order.load(second)
        in_order.build_pass()
        expected = marts(in_order)
        assert {row["source"] for row in expected["calls"]} == {call.platform for call in recorded}
        for mart, rows in marts(warehouse).items():
            assert rows == expected[mart], mart

    run()
