"""Sources and staging agree about a body: on the agent, and on whether analytics end the call."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from receiver.sources import SOURCES, Source

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

    Land = Callable[[str, bytes, bool], Event]
    Bodies = list[tuple[str, bytes, bool]]
    Rows = dict[str, dict[str, dict[str, Any]]]


def variants(value: Any) -> Iterator[Any]:
    """The JSON value; then for each field of its objects one without it, and one with a text where it is null."""
    yield value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {key: other for key, other in value.items() if key != name}
            if inner is None:
                yield value | {name: f"a {name}"}
            yield from (value | {name: changed} for changed in variants(inner) if changed is not inner)


@pytest.fixture(scope="module")
def events(bodies: "Bodies", land: "Land", make_event: type["Event"]) -> list["Event"]:
    """Variants of every documented body, and analytics of every source."""
    landed = [make_event(source, "analytics.completed", "a-call", {}) for source in SOURCES]
    for source, body, is_form in bodies:
        sent = [body] if is_form else [orjson.dumps(one) for one in variants(orjson.loads(body))]
        landed += [land(source, one, is_form) for one in sent]
    return landed


@pytest.fixture(scope="module")
def staged(built_warehouse: "Callable[[], Warehouse]", events: list["Event"]) -> "Rows":
    """The rows of each platform's staging model, by event key."""
    warehouse = built_warehouse()
    warehouse.load(events)
    columns = "event_key, event_type, ends_call, agent_id"
    return {
        source: {
            row["event_key"]: row
            for row in warehouse.rows(f"select {columns} from staging.stg_{source}__events")
        }
        for source in SOURCES
    }


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_finds_the_agent_where_staging_does(
    source: str, events: list["Event"], staged: "Rows"
) -> None:
    bodies = {event.key: orjson.loads(event.payload) for event in events if event.source == source}
    assert staged[source].keys() == bodies.keys()
    by_source = {key: SOURCES[source].agent_of(body) for key, body in bodies.items()}
    assert by_source == {key: row["agent_id"] for key, row in staged[source].items()}
    names_agents = any(by_source.values())
    assert names_agents == (type(SOURCES[source]).agent_of is not Source.agent_of)


@pytest.mark.parametrize("source", SOURCES)
def test_analytics_end_the_call_where_staging_says_so(source: str, staged: "Rows") -> None:
    analytics = [row for row in staged[source].values() if row["event_type"] == "analytics.completed"]
    assert {row["ends_call"] for row in analytics} == {SOURCES[source].analytics_end_the_call}
