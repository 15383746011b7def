"""A platform changes its events without a word: all is kept, built, and told by a check or a data test of that name."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import build, drift
from orchestration.assets.models import LEAN, OUTCOMES
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from receiver.envelope import line, seal
from receiver.landing import open_landing
from receiver.shapes import Misfit
from receiver.sources import SOURCES

AT = "2026-11-02T08:00:00Z"
CALL = {"timestamp": AT, "agent_id": "a-1"}


def ended(call_id: str, **changed: Any) -> dict[str, Any]:
    said = {"transcript": [{"role": "agent", "content": "Hello."}], "variables": {"customer_name": "Ada"}}
    outcome = {"duration_seconds": 93, "disposition": "unresolved"}
    return {"event": "call.end", "call_id": call_id, **CALL, **said, **outcome, **changed}


def load(settings: OrchestrationSettings, *bodies: dict[str, Any]) -> None:
    store = open_landing(settings.home)
    for body in bodies:
        sent = json.dumps(body).encode()
        store.append(line(seal("atoms", SOURCES["atoms"].facts(body, {}), sent, datetime.now(UTC)), sent))
    store.close()
    pipeline.load_events(settings)


def warnings(settings: OrchestrationSettings) -> set[str]:
    """What warned in a build of everything; the build must succeed."""
    found = set()

    def sink(event: dict[str, Any]) -> None:
        node = event.get("data", {}).get("node_info", {})
        if event["info"]["name"] == "NodeFinished" and node.get("node_status") == "warn":
            found.add(node["node_name"])

    build.build_all(settings, "models", ["--exclude", OUTCOMES, LEAN, "--full-refresh"], sink)
    return found


def rows(settings: OrchestrationSettings, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse)) as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.timeout(900)
def test_nothing_stops_nothing_is_lost_and_what_is_new_is_told(tmp_path: Path) -> None:
    settings = OrchestrationSettings(home=tmp_path / "home")
    load(settings, ended("as-ever"), {"event": "call.start", "call_id": "as-ever", **CALL})
    rows(settings, "update raw.call_events set loaded_at = loaded_at - interval 2 days")

    new_field = ended("new-field", experiment={"arm": "b"}, variables={"customer_name": "Ada", "basket": "7"})
    new_type = ended("new-type", duration_seconds="about two minutes")
    new_disposition = ended("new-disposition", disposition="Not Resolved")
    new_event = {"event": "call.rated", "call_id": "new-event", **CALL, "stars": 4}
    sent = [new_field, new_type, new_disposition, new_event]
    load(settings, *sent)

    warned = warnings(settings)
    assert {"warn_disposition_has_no_mapping", "warn_unknown_event_types"} <= warned
    drifts = drift.find(settings).drifts
    assert {(one.event_type, one.events, misfit) for one in drifts for misfit in one.misfits} == {
        ("call.end", 1, Misfit("experiment", "is new")),
        ("call.end", 1, Misfit("seed.duration_seconds", "should be number, is text")),
    }

    kept = rows(settings, "select payload::varchar from raw.call_events where call_id like 'new-%'")
    assert sorted((json.loads(text) for (text,) in kept), key=str) == sorted(sent, key=str)
    assert rows(settings, "select call_id, disposition, is_resolved from marts.call_outcomes order by 1") == [
        ("as-ever", "unresolved", False),
        ("new-disposition", "not_resolved", None),
        ("new-event", None, None),
        ("new-field", "unresolved", False),
        ("new-type", "unresolved", False),
    ]
    assert rows(settings, "select duration_seconds from marts.calls where call_id = 'new-type'") == [(None,)]
