"""Whatever stands where a platform documents something else, the models build, and the call is still known."""

import copy
import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from receiver.body import parse, parse_form
from tests.hostile_values import ODD, places

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

OF_EACH_PLACE = 3
WHOLE = [
    "null",
    "7",
    '"text"',
    "[]",
    "{}",
    "[null]",
    "[[]]",
    '{"form": []}',
    '{"data": [], "call": 1, "room": ""}',
]


def mangled(body: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """The body with something else at one place."""
    changed = copy.deepcopy(body)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = odd
    return changed


def test_no_value_stops_the_build(
    built_warehouse: "Callable[[], Warehouse]",
    bodies: list[tuple[str, bytes, bool]],
    make_event: type["Event"],
    land: "Callable[[str, bytes, bool], Event]",
) -> None:
    chance = random.Random(5)
    events: list[Event] = []
    for platform, sent, is_form in bodies:
        body = parse_form(sent) if is_form else parse(sent)
        known = land(platform, sent, is_form)
        for path in places(body):
            for odd in chance.sample(ODD, OF_EACH_PLACE):
                # as the load repairs it: half an emoji is U+FFFD
                payload = json.dumps(mangled(body, path, odd)).replace("\\ud83d", "\\ufffd")
                events.append(make_event(platform, known.event_type, known.call_id, payload))
        events += [make_event(platform, known.event_type, known.call_id, whole) for whole in WHOLE]
    warehouse = built_warehouse()
    warehouse.load(events)
    warehouse.build_pass()
    parsed = warehouse.row("select count(*) as events from intermediate.int_events_unioned")["events"]
    assert parsed == len({event.key for event in events}) > 2_000
    keys = {f"{event.source}:{event.call_id}" for event in events if event.call_id}
    assert {row["call_key"] for row in warehouse.rows("select call_key from marts.calls")} == keys
    for mart in warehouse.relations("marts"):
        warehouse.rows(f"select * from marts.{mart}")
    for due in warehouse.relations("sync"):
        warehouse.rows(f"select * from sync.{due}")
