"""Shapes: what is documented fits, what changed is named without being told, and nothing raises."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.shapes import SHAPES, Misfit, described, fields, misfits, outline
from receiver.sources import SOURCES

BODIES = Path(__file__).parent / "sources" / "bodies"
DOCUMENTED = [path for path in sorted(BODIES.glob("*/*.json")) if path.parent.name in SHAPES]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
)


def kind_of(source: str, body: Any) -> str | None:
    return SOURCES[source].facts(body, {}).event_type


def test_shapes_belong_to_sources() -> None:
    assert SHAPES.keys() <= SOURCES.keys()
    assert len(DOCUMENTED) > 20


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_every_documented_body_fits(path: Path) -> None:
    body = json.loads(path.read_text(encoding="utf-8"))
    source = path.parent.name
    assert misfits(source, kind_of(source, body), body) == []


def test_fields_are_named_where_the_documents_describe_an_object() -> None:
    objects = described("retell", "analytics.completed")
    assert {"", "call", "call.transcript_object[]", "call.call_analysis"} == objects.keys()
    assert "call_summary" in objects["call.call_analysis"]
    said = {"words": [{"word": "Hello"}], "content": "Hello", "mood": "calm"}
    body = {"call": {"metadata": {"Ada": 1}, "transcript_object": [said, said]}, "event": "call_analyzed"}
    assert set(fields(body, objects)) == {
        ("", "call"),
        ("", "event"),
        ("call", "metadata"),
        ("call", "transcript_object"),
        ("call.transcript_object[]", "words"),
        ("call.transcript_object[]", "content"),
        ("call.transcript_object[]", "mood"),
    }
    assert described("retell", "call.unheard_of") == {}


def test_both_dialects_of_a_platform_are_described() -> None:
    objects = described("atoms", "call.end")
    assert objects[""] >= {"metadata", "event"}
    assert "callStatus" in objects["metadata.callData"]


def retell(**changed: Any) -> list[Misfit]:
    body = json.loads((BODIES / "retell" / "call_analyzed.json").read_text())
    body["call"] |= changed
    return misfits("retell", "analytics.completed", body)


def test_what_changed_is_named_once_and_what_was_said_is_not() -> None:
    assert retell(new_field="x") == []
    assert retell(call_id=555_0100) == [Misfit("call.call_id", "should be string, is number")]
    assert retell(call_analysis=None) == [
        Misfit("call.call_analysis", "should be dictionary or instance of Analysis, is null")
    ]
    turns = [{"role": "agent", "content": 5, "words": []}, {"role": "agent", "content": [], "words": []}]
    assert retell(transcript_object=turns) == [
        Misfit("call.transcript_object[].content", "should be string, is list"),
        Misfit("call.transcript_object[].content", "should be string, is number"),
    ]
    (status,) = retell(call_status="Ada called +12025550143")
    assert status.where == "call.call_status"
    assert status.problem.endswith("is another text")
    assert "Ada" not in status.problem


def test_each_dialect_is_held_against_its_own_shape() -> None:
    assert misfits("atoms", "call.start", {"id": "1", "metadata": {}}) == [
        Misfit(f"wire.metadata.{name}", "is missing")
        for name in ("agentId", "callId", "conversationType", "eventType")
    ]
    assert {found.where.partition(".")[0] for found in misfits("atoms", "call.start", {})} == {"seed"}


def test_a_batch_of_which_only_the_first_event_is_read_is_a_misfit() -> None:
    (event,) = json.loads((BODIES / "twilio" / "event-stream.json").read_text(encoding="utf-8"))
    assert misfits("twilio", "call.end", [event]) == []
    (misfit,) = misfits("twilio", "call.end", [event, event])
    assert misfit == Misfit("streamed", "has more elements than are read")


def test_an_outline_says_nothing_of_what_was_said() -> None:
    body = json.loads((BODIES / "vapi" / "end-of-call-report.json").read_text(encoding="utf-8"))
    shown = json.dumps(outline(body))
    assert '"customer": {"number": "text", "name": "text"}' in shown
    for said in ("Tomas", "4915550100201", "appointment of", "example.com"):
        assert said not in shown.replace('"appointment"', "")
    assert outline({"a": [1, 2, 3], "b": True, "c": None}) == {
        "a": ["number", "3 in all"],
        "b": "boolean",
        "c": "null",
    }
    assert len(outline({str(number): number for number in range(1_000)})) == 61


@given(
    st.sampled_from(sorted(SHAPES)),
    st.sampled_from(["call.start", "call.end", "analytics.completed", "x"]),
    ANY,
)
def test_no_body_raises(source: str, kind: str, body: Any) -> None:
    assert all(found.where and found.problem for found in misfits(source, kind, body))
    assert all(where in described(source, kind) for where, _ in fields(body, described(source, kind)))
    json.dumps(outline(body))


@pytest.mark.parametrize("source", ["livekit-next", "nobody"])
def test_a_source_without_shapes_is_not_looked_at(source: str) -> None:
    assert misfits(source, "call.end", {"x": 1}) == []
