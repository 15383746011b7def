"""Contract drift: real landing lines, loaded, then looked at; the check as Dagster runs it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.defs.checks.unseen_fields import events_look_as_documented
from orchestration.defs.resources import Aftercall
from orchestration.load import pipeline
from orchestration.monitoring import unseen_fields
from receiver.envelope import line, seal
from receiver.landing import open_landing
from receiver.shapes import Misfit
from receiver.sources import SOURCES

BODY = Path(__file__).parents[2] / "receiver" / "sources" / "bodies" / "retell" / "call_ended.json"


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


@pytest.fixture
def settings(tmp_path: Path) -> OrchestrationSettings:
    return OrchestrationSettings(home=tmp_path / "home")


def test_what_changed_is_found_among_new_events(settings: OrchestrationSettings) -> None:
    assert unseen_fields.find(settings) == unseen_fields.DriftReport(0, [])
    land(settings, *(ended(number) for number in range(3)))
    assert unseen_fields.find(settings) == unseen_fields.DriftReport(3, [])

    land(settings, *(ended(number, duration_ms="93 s", to_number=None) for number in range(3, 5)))
    report = unseen_fields.find(settings)
    assert report.events == 5
    (found,) = report.drifts
    assert (found.source, found.event_type, found.events) == ("retell", "call.end", 2)
    assert found.misfits == (Misfit("call.duration_ms", "should be integer, is text"),)
    assert '"duration_ms": "text"' in found.sample
    assert "93 s" not in found.sample

    # of many, the newest are looked at; those of yesterday no longer
    land(settings, *(ended(number) for number in range(5, 5 + unseen_fields.SAMPLE)))
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
    land(settings, ended(1, disconnection_reason=7, metadata={"+12025550143": "Ada"}), ended(2))
    monkeypatch.setenv("AFTERCALL_HOME", str(settings.home))
    (evaluation,) = _checked().get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert evaluation.metadata["at_most_of_each_source_and_type"].value == unseen_fields.SAMPLE
    shown = str(evaluation.metadata)
    assert "call.disconnection_reason should be string, is number" in shown
    for said in ("Mira", "2025550143", "charged twice"):
        assert said not in shown


def _checked() -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        assets=[dg.AssetSpec(["raw", "call_events"])],
        asset_checks=[events_look_as_documented],
        resources={"aftercall": Aftercall()},
    )
    selection = dg.AssetSelection.checks(events_look_as_documented)
    job = dg.define_asset_job("checked", selection=selection)
    defs = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
    return defs.resolve_job_def("checked").execute_in_process()
