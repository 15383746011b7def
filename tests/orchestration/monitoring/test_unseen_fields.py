"""Fields never seen before: real landing lines, loaded, then compared; the check as Dagster runs it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.config import OrchestrationSettings
from orchestration.defs.checks import events_look_as_before
from orchestration.defs.resources import resources
from orchestration.load import pipeline
from orchestration.monitoring import unseen_fields
from orchestration.monitoring.unseen_fields import Misfit, Types, learn, misfits, outline
from orchestration.warehouse import open_warehouse
from receiver.envelope import line, seal
from receiver.landing import open_landing
from receiver.sources import SOURCES

BODIES = Path(__file__).parents[2] / "receiver" / "sources" / "bodies"
BODY = BODIES / "retell" / "call_ended.json"
DOCUMENTED = sorted(BODIES.glob("*/*.json"))
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
)


def ended(number: int, **changed: Any) -> bytes:
    body = json.loads(BODY.read_text(encoding="utf-8"))
    body["call"] |= {"call_id": f"call-{number}", **changed}
    return json.dumps(body).encode()


def land(settings: OrchestrationSettings, *bodies: bytes) -> None:
    """Land and load."""
    store = open_landing(settings.landing)
    for body in bodies:
        facts = SOURCES["retell"].facts(json.loads(body), {})
        store.append([line(seal("retell", facts, body, datetime.now(UTC)), body)])
    store.close()
    pipeline.load_events(settings)


def land_earlier(settings: OrchestrationSettings, *bodies: bytes) -> None:
    """Land and load, as if two days ago."""
    land(settings, *bodies)
    with duckdb.connect(open_warehouse(settings).location) as connection:
        connection.execute("update raw.call_events set loaded_at = loaded_at - interval 2 days")


@pytest.fixture
def settings(tmp_path: Path) -> OrchestrationSettings:
    return OrchestrationSettings(home=tmp_path / "home")


def test_what_changed_is_found_among_new_events(settings: OrchestrationSettings) -> None:
    assert unseen_fields.find(settings) == unseen_fields.DriftReport(0, [])
    land_earlier(settings, ended(0))
    land(settings, *(ended(number) for number in range(1, 4)))
    assert unseen_fields.find(settings) == unseen_fields.DriftReport(3, [])

    land(settings, *(ended(number, duration_ms="93 s", to_number=None) for number in range(4, 6)))
    report = unseen_fields.find(settings)
    assert report.events == 5
    (drift,) = report.drifts
    assert (drift.source, drift.event_type, drift.events) == ("retell", "call.end", 2)
    assert drift.misfits == (Misfit("call.duration_ms", "was number, is text"),)
    assert '"duration_ms": "text"' in drift.sample
    assert "93 s" not in drift.sample

    # of many, the newest are looked at; those of yesterday no longer
    land(settings, *(ended(number) for number in range(6, 6 + unseen_fields.SAMPLE)))
    assert unseen_fields.find(settings) == unseen_fields.DriftReport(unseen_fields.SAMPLE, [])
    # a type of which there is one is looked at all the same
    land(
        settings,
        BODY.with_name("call_started.json").read_bytes(),
        *(ended(number) for number in range(500, 500 + unseen_fields.SAMPLE)),
    )
    assert unseen_fields.find(settings).events == unseen_fields.SAMPLE + 1
    assert (
        unseen_fields.find(settings, datetime.now(UTC) + unseen_fields.WINDOW + timedelta(seconds=1)).events
        == 0
    )


def test_the_check_warns_and_shows_no_value(
    settings: OrchestrationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_earlier(settings, ended(0))
    land(settings, ended(1, disconnection_reason=7, metadata={"+12025550143": "Ada"}), ended(2))
    monkeypatch.setenv("AFTERCALL_HOME", str(settings.home))
    (evaluation,) = _checked().get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert evaluation.metadata["at_most_of_each_source_and_type"].value == unseen_fields.SAMPLE
    shown = str(evaluation.metadata)
    assert "call.disconnection_reason was text, is number" in shown
    for said in ("Mira", "2025550143", "charged twice"):
        assert said not in shown


def _checked() -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        assets=[dg.AssetSpec(["raw", "call_events"])],
        asset_checks=[events_look_as_before],
        resources=resources(),
    )
    selection = dg.AssetSelection.checks(events_look_as_before)
    job = dg.define_asset_job("checked", selection=selection)
    defs = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
    return defs.resolve_job_def("checked").execute_in_process()


def known_from(source: str, *bodies: Any) -> Types:
    known: Types = {}
    for body in bodies:
        learn(source, body, known)
    return known


def changes(changed: Any, *before: Any, source: str = "retell") -> list[Misfit]:
    return list(misfits(source, changed, known_from(source, *before)))


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_a_body_fits_itself_whatever_is_null_or_missing(path: Path) -> None:
    source, body = path.parent.name, json.loads(path.read_text(encoding="utf-8"))
    assert changes(body, body, source=source) == []
    if isinstance(body, dict):
        for name in body:
            assert changes(body | {name: None}, body, source=source) == []
            assert changes({key: body[key] for key in body if key != name}, body, source=source) == []


def test_a_change_is_named_once_and_without_a_value() -> None:
    before = json.loads((BODIES / "retell" / "call_analyzed.json").read_text())

    def change(**fields: Any) -> list[Misfit]:
        return changes(before | {"call": before["call"] | fields}, before)

    assert change(new_field="x") == [Misfit("call.new_field", "is new")]
    assert change(new_object={"a": {"b": 1}}) == [Misfit("call.new_object", "is new")]
    assert change(call_id=555_0100) == [Misfit("call.call_id", "was text, is number")]
    assert change(call_analysis=[]) == [Misfit("call.call_analysis", "was object, is list")]
    turns = [{"role": "agent", "content": 5, "words": []}, {"role": "agent", "content": [], "mood": "calm"}]
    assert change(transcript_object=turns) == [
        Misfit("call.transcript_object[].content", "was text, is list"),
        Misfit("call.transcript_object[].content", "was text, is number"),
        Misfit("call.transcript_object[].mood", "is new"),
    ]
    assert change(metadata={"Ada": 1}, collected_dynamic_variables={"+12025550143": "x"}) == []
    (named,) = change(**{"of +12025550143": 1})
    assert "5550143" not in named.where
    assert changes([], before) == [Misfit("body", "was object, is list")]


def test_without_earlier_events_there_is_nothing_to_differ_from() -> None:
    assert changes({"call": {"call_id": 5}}) == []


def test_what_was_null_or_an_empty_list_may_be_filled() -> None:
    before: Any = {"call": {"to_number": None, "transcript_object": []}}
    after = {"call": {"to_number": "+1", "transcript_object": [{"role": "agent"}]}}
    assert changes(after, before) == []


def test_a_batch_of_which_only_the_first_event_is_read_is_a_misfit() -> None:
    (event,) = json.loads((BODIES / "twilio" / "event-stream.json").read_text(encoding="utf-8"))
    assert changes([event], [event], source="twilio") == []
    (misfit,) = changes([event, event], source="twilio")
    assert misfit == Misfit("body", "has more than one event, of which only the first is read")


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


@given(st.sampled_from(sorted(SOURCES)), ANY, ANY)
def test_no_body_raises(source: str, body: Any, before: Any) -> None:
    assert all(misfit.where and misfit.problem for misfit in changes(body, before, source=source))
    json.dumps(outline(body))
