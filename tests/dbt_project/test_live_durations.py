"""The board's feed and the marts name one duration of a call: every platform's documented bodies, and variations."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from integrations.board.durations import Duration
from integrations.board.live_calls import LiveCalls
from receiver.envelope import line, seal
from receiver.sources import SOURCES

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

    Land = Callable[[str, bytes, bool], Event]
    Bodies = list[tuple[str, bytes, bool]]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OF_LEGS = {name for name, source in SOURCES.items() if source.reports_each_leg}
LENGTHS = re.compile("duration|call_length", re.IGNORECASE)
"""Names of fields that hold how long a call took."""


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """A body in which every field that holds a duration is another."""
    if isinstance(value, list):
        return [changed(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: change(item)
        if LENGTHS.search(name) and not isinstance(item, dict | list)
        else changed(item, change)
        for name, item in value.items()
    }


def longer(value: Any) -> Any:
    number = re.fullmatch(r"\d+(\.\d+)?", str(value))
    return type(value)(float(value) * 2) if number and not isinstance(value, bool) else value


VARIATIONS: dict[str, Callable[[Any], Any]] = {
    "as sent": lambda body: body,
    "without a duration": lambda body: changed(body, lambda _: None),
    "another duration": lambda body: changed(body, longer),
    "the duration as text": lambda body: changed(body, lambda value: None if value is None else str(value)),
}


def varied(bodies: "Bodies") -> Iterator[tuple[str, str, bytes, bool]]:
    """The variation, the source, the body and whether it is a form; the calls of a variation have ids of their own."""
    for name, variation in VARIATIONS.items():
        for source, body, is_form in bodies:
            if is_form:
                yield (
                    name,
                    source,
                    body.replace(b"CallSid=CA", b"CallSid=CA" + name[:2].strip().encode()),
                    is_form,
                )
                continue
            call_id = SOURCES[source].facts(orjson.loads(body), {}).call_id
            if call_id is None:
                continue
            own_id = f"{call_id}-{list(VARIATIONS).index(name)}".encode()
            other = orjson.dumps(variation(orjson.loads(body))).replace(call_id.encode(), own_id)
            yield name, source, other, is_form


Durations = tuple[dict[str, float | None], dict[str, Duration | None]]


@pytest.fixture(scope="module")
def both(built_warehouse: "Callable[[], Warehouse]", bodies: "Bodies", land: "Land") -> Durations:
    """Durations by call: as the models have them, and as the board's feed shows them of the same events."""
    events = [(name, land(source, body, is_form), body) for name, source, body, is_form in varied(bodies)]
    warehouse = built_warehouse()
    warehouse.load([event for _, event, _ in events])
    warehouse.build_pass()
    modelled = {
        str(row["call_key"]): row["duration_seconds"]
        for row in warehouse.rows("select call_key, duration_seconds from marts.calls")
    }
    feed: dict[str, Duration | None] = {}
    for group in {(name, event.source) for name, event, _ in events}:
        live = LiveCalls(ZoneInfo("UTC"), timedelta(hours=2), NOW)
        own = [(event, body) for name, event, body in events if (name, event.source) == group]
        for number, (event, body) in enumerate(own):
            at = NOW + timedelta(seconds=number - len(own))
            envelope = seal(
                event.source, SOURCES[event.source].facts(orjson.loads(event.payload), {}), body, at
            )
            landed = line(envelope, event.payload.encode())
            live.read(landed)
        for item in live.view(NOW).feed:
            if item.what == "ended":
                feed[f"{item.source}:{item.call_id}"] = item.duration
    return modelled, feed


def test_the_feed_and_the_marts_name_one_duration_of_a_call(both: Durations) -> None:
    modelled, feed = both
    differing = {}
    for call_key, shown in feed.items():
        seconds = modelled[call_key]
        if shown is None or shown.is_at_least:
            agrees = seconds is None or (shown is None and call_key.partition(":")[0] in OF_LEGS)
        else:
            agrees = seconds is not None and abs(shown.seconds - seconds) < 0.01
        if not agrees:
            differing[call_key] = (shown, seconds)
    assert differing == {}


def test_what_was_compared_is_not_nothing(both: Durations) -> None:
    _, feed = both
    exact = [key.partition(":")[0] for key, shown in feed.items() if shown and not shown.is_at_least]
    assert {*exact, *OF_LEGS} == set(SOURCES)
    assert not {*exact} & OF_LEGS
    assert len(exact) > 60
