"""A name that stands twice in an object: the envelope and the models read the same one, the last, on every platform."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.config import OrchestrationSettings
from orchestration.load import lines
from orchestration.load.repeated_names import without_repeated_names
from orchestration.warehouse import Connection, memory_connection
from receiver.body import parse
from receiver.envelope import line, seal
from receiver.sources import SOURCES

BODIES = Path(__file__).parents[2] / "receiver" / "sources" / "bodies"
NOW = datetime(2026, 11, 20, 10, 1, tzinfo=UTC)
FILES = sorted(BODIES.glob("*/*.json"))


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with memory_connection(OrchestrationSettings()) as opened:
        yield opened


def twice(value: Any) -> str:
    """The JSON of a value in which every name of every object stands twice, first with another value."""
    if isinstance(value, dict):
        members = [
            f"{json.dumps(name)}:{text}"
            for name, inner in value.items()
            for text in (odd(inner), twice(inner))
        ]
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(twice, value)) + "]"
    return json.dumps(value)


def odd(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps({name: f"another {name}" for name in value})
    return {str: '"another"', bool: "null", list: "[]"}.get(type(value), "7")


def row(connection: Connection, source: str, body: bytes) -> dict[str, Any]:
    """The row of `raw.call_events` that a delivery becomes."""
    parsed = parse(body)
    envelope = seal(source, SOURCES[source].facts(parsed, {}), body, NOW, parsed)
    rows: list[dict[str, Any]] = lines.parse(connection, line(envelope, body), 0).events.to_pylist()
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_the_last_one_counts_everywhere(connection: Connection, file: Path) -> None:
    value = json.loads(file.read_bytes())
    plain = row(connection, file.parent.name, json.dumps(value).encode())
    doubled = row(connection, file.parent.name, twice(value).encode())
    # an event without an id of its own is named by its bytes
    for event in (plain, doubled):
        event.pop("event_id")
        event.pop("event_key")
    assert json.loads(doubled.pop("payload")) == json.loads(plain.pop("payload")) == value
    assert doubled == plain


def test_every_platform_is_tried() -> None:
    assert {file.parent.name for file in FILES} == set(SOURCES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1}', None),
        ('{"a":1,"b":{"a":2}}', None),
        ('[{"a":1},{"a":2}]', None),
        ('{"a":"\\"a\\":1"}', None),
        ('{"a\\\\":1,"a":2}', None),
        ('{"a":1,"a":2}', '{"a":2}'),
        ('{"a":{"b":1},"a":null}', '{"a":null}'),
        ('{"a":null,"a":[{"b":1,"b":1.50}]}', '{"a":[{"b":1.50}]}'),
        ('{"a":1,"a":98765432109876543210987}', '{"a":98765432109876543210987}'),
        ('{"a":1,"a":1e400}', '{"a":1e400}'),
        ('{"é":1,"é":"é😀\\u0000"}', '{"é":"é😀\\u0000"}'),
        ("[" * 400 + '{"a":1}' + "]" * 400, None),
        ("[" * 400 + '{"a":1,"a":2}' + "]" * 400, "[" * 400 + '{"a":2}' + "]" * 400),
        ('{"k":1' + ',"k":1' * 100_000 + "}", '{"k":1}'),
    ],
    ids=range(14),
)
def test_only_what_is_repeated_is_written_anew(text: str, expected: str | None) -> None:
    assert without_repeated_names(text.encode()) == (None if expected is None else expected.encode())


NAMES = st.sampled_from(["a", "b", '"', "\\", "\u2028", '\\"', "é"])
JSON = st.recursive(
    st.none() | st.integers(-9, 9) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_any_json_comes_out_as_python_reads_it(value: Any) -> None:
    # as DuckDB hands it over: no spaces, and no escapes but the necessary ones
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert without_repeated_names(text.encode()) is None
    doubled = json.dumps(json.loads(twice(value)), separators=(",", ":"))
    anew = without_repeated_names(twice(value).encode())
    assert json.loads(anew or twice(value)) == json.loads(doubled) == value
