"""A platform changes its events without a word: all is kept, built, and told by a check or a data test of that name."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.defs.assets.models import LEAN, OUTCOMES
from orchestration.load import pipeline
from orchestration.monitoring import unseen_fields
from orchestration.monitoring.unseen_fields import Misfit
from orchestration.warehouse import dbt
from receiver.envelope import line, seal
from receiver.landing import open_landing
from receiver.sources import SOURCES
from tests.warehouse_files import warehouse_file

AT = "2026-11-02T08:00:00Z"
CALL = {"timestamp": AT, "agent_id": "a-1"}


def ended(call_id: str, **changed: Any) -> dict[str, Any]:
    turns = [{"role": "agent", "content": "Hello."}, {"role": "user", "content": "Hi."}]
    said = {"transcript": turns, "variables": {"customer_name": "Ada"}}
    outcome = {"duration_seconds": 93, "disposition": "unresolved"}
    return {"event": "call.end", "call_id": call_id, **CALL, **said, **outcome, **changed}


def load(settings: OrchestrationSettings, *bodies: dict[str, Any]) -> None:
    store = open_landing(settings.landing)
    for body in bodies:
        sent = json.dumps(body).encode()
        store.append([line(seal("atoms", SOURCES["atoms"].facts(body, {}), sent, datetime.now(UTC)), sent)])
    store.close()
    pipeline.load_events(settings)


def warnings(settings: OrchestrationSettings) -> dict[str, str]:
    """What warned in a build of everything, and the values it named; the build must succeed."""
    events: list[dict[str, Any]] = []
    dbt.build_all(settings, "models", ["--exclude", OUTCOMES, LEAN, "--full-refresh"], events.append)
    return dbt.found_by_tests(events)


def rows(settings: OrchestrationSettings, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse_file(settings))) as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.timeout(900)
def test_nothing_stops_nothing_is_lost_and_what_is_new_is_told(tmp_path: Path) -> None:
    settings = OrchestrationSettings(home=tmp_path / "home")
    analytics = {"event": "analytics.completed", "call_id": "as-ever", **CALL, "metrics": {"pace": "calm"}}
    load(settings, ended("as-ever"), analytics, {"event": "call.start", "call_id": "as-ever", **CALL})
    rows(settings, "update raw.call_events set loaded_at = loaded_at - interval 2 days")

    new_field = ended("new-field", experiment={"arm": "b"}, variables={"customer_name": "Ada", "basket": "7"})
    new_type = ended("new-type", duration_seconds="about two minutes")
    new_disposition = ended("new-disposition", disposition="Not Resolved")
    new_event = {"event": "call.rated", "call_id": "new-event", **CALL, "stars": 4}
    measures = {"asked +1 202 555 0143": "yes", "satisfaction_score": "ask ada@example.com", "mood": None}
    new_measure = {"event": "analytics.completed", "call_id": "new-measure", **CALL, "metrics": measures}
    ratings = [{"identifier": "csat", "value": value} for value in (None, 4, 2)]
    twice = {"event": "analytics.completed", "call_id": "new-twice", **CALL, "metrics": ratings}
    sent = [new_field, new_type, new_disposition, new_event, new_measure, twice]
    load(settings, *sent)

    warned = {name: values.partition(", last_")[0] for name, values in warnings(settings).items()}
    assert warned == {
        "warn_disposition_has_no_mapping": "source atoms, disposition not_resolved, call_count 1",
        "warn_unknown_event_types": "source atoms, event_type call.rated, event_count 1",
        "warn_measures_without_a_name": "source atoms, measure asked ···, call_count 1",
        "warn_satisfaction_out_of_range": "source atoms, satisfaction_text ask ···, call_count 1",
    }
    drifts = unseen_fields.find(settings).drifts
    assert {(one.event_type, one.events, misfit) for one in drifts for misfit in one.misfits} == {
        ("call.end", 1, Misfit("experiment", "is new")),
        ("call.end", 1, Misfit("duration_seconds", "was number, is text")),
        ("analytics.completed", 1, Misfit("metrics", "was object, is list")),
    }

    kept = rows(settings, "select payload::varchar from raw.call_events where call_id like 'new-%'")
    assert sorted((json.loads(text) for (text,) in kept), key=str) == sorted(sent, key=str)
    assert rows(settings, "select call_id, disposition, is_resolved from marts.call_outcomes order by 1") == [
        ("as-ever", "unresolved", False),
        ("new-disposition", "not_resolved", None),
        ("new-event", None, None),
        ("new-field", "unresolved", False),
        ("new-measure", None, None),
        ("new-twice", None, None),
        ("new-type", "unresolved", False),
    ]
    assert rows(settings, "select duration_seconds from marts.calls where call_id = 'new-type'") == [(None,)]

    measured = "select measure, measure_number, value_type, value_text from marts.call_metrics"
    assert rows(settings, f"{measured} where measure in ('csat', 'mood') order by all") == [
        ("csat", 1, "integer", "4"),
        ("csat", 2, "integer", "2"),
        ("csat", 3, "empty", None),
        ("mood", 1, "empty", None),
    ]
    rated = "select satisfaction_score from marts.call_outcomes where call_id = 'new-twice'"
    assert rows(settings, rated) == [(4,)]

    # where a row's only column is personal, the number of rows is told
    rows(settings, "delete from intermediate.int_due_actions")
    found: list[dict[str, Any]] = []
    with pytest.raises(dbt.BuildFailed, match="every_due_action_is_remembered"):
        dbt.build(settings, ["--select", "every_due_action_is_remembered"], found.append)
    said = dbt.found_by_tests(found)["every_due_action_is_remembered"]
    assert said.partition(" ")[2] == "rows of personal data"
