"""Whatever stands in a body where a platform documents something else, its source makes an envelope of it."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from receiver.body import parse, parse_form
from receiver.envelope import line, seal
from receiver.sources import SOURCES
from tests.hostile_values import replaced

BODIES = Path(__file__).with_name("bodies")


@pytest.mark.parametrize("name", SOURCES)
def test_no_value_anywhere_makes_a_source_raise(name: str) -> None:
    now, tried = datetime.now(UTC), 0
    for path in (BODIES / name).iterdir():
        sent = path.read_bytes()
        body = parse_form(sent.strip()) if path.suffix == ".form" else parse(sent)
        for _ in replaced(body):
            envelope = seal(name, SOURCES[name].facts(body, {}), b"{}", now)
            agent = SOURCES[name].agent_of(body)
            assert agent is None or 0 < len(agent) <= 255
            SOURCES[name].length_of(body)
            assert envelope.direction in {None, "inbound", "outbound", "web"}
            assert orjson.loads(line(envelope, b"{}"))["source"] == name
            tried += 1
    assert tried > 100
