"""Bodies that break pipelines: each gets its documented answer, and the load takes what was accepted."""

import json
from typing import Any

import pytest
import requests

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline


def end(call_id: str = "c", **more: Any) -> dict[str, Any]:
    return {
        "event": "call.end",
        "timestamp": "2026-11-02T08:00:00Z",
        "agent_id": "a",
        "call_id": call_id,
        **more,
    }


BODIES: list[tuple[str, bytes, int]] = [
    ("lone surrogate", json.dumps(end("surrogate")).encode().replace(b'"a"', rb'"cut \ud83d"'), 200),
    ("NaN", json.dumps(end("nan", duration_seconds=float("nan"))).encode(), 400),
    ("5,000 levels", b'{"event":"call.end","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}", 400),
    ("duplicate keys", json.dumps(end("twins")).encode()[:-1] + b', "call_id": "last"}', 200),
    ("4 MiB transcript", json.dumps(end("long", transcript="x" * (4 << 20))).encode(), 200),
    ("long id", json.dumps(end("i" * 100_000)).encode(), 200),
    ("no call id", json.dumps({"event": "something.new"}).encode(), 200),
    ("not an object", b"[1, 2, 3]", 200),
    ("not JSON", b"{", 400),
]


@pytest.fixture
def settings(installation: Any) -> OrchestrationSettings:
    return OrchestrationSettings(home=installation.home)


def test_each_gets_its_answer_and_the_load_still_works(
    installation: Any, settings: OrchestrationSettings
) -> None:
    headers = {"Content-Type": "application/json"}
    with installation.receiver():
        for name, body, status in BODIES:
            for _ in range(2):  # every one of them twice: a repeat is accepted and is no second event
                answer = requests.post(
                    f"{installation.url}/webhooks/atoms", data=body, headers=headers, timeout=20
                )
                assert answer.status_code == status, (name, answer.text[:200])
                if status != 200:
                    assert answer.headers["Content-Type"] == "application/problem+json"
    accepted = sum(status == 200 for _, _, status in BODIES)
    report = pipeline.load_events(settings)
    assert report.rows == {"call_events": accepted, "rejected_lines": 0}
    rows = installation.warehouse("select call_id, payload::varchar from raw.call_events")
    found = dict(rows)
    assert {"surrogate", "last", "long"} <= set(found)
    assert "cut �" in found["surrogate"]
    assert [call_id for call_id in found if call_id and call_id.startswith("sha256:")] != []
    assert all(call_id is None or len(call_id) <= 255 for call_id in found)
    assert pipeline.load_events(settings).rows == {"call_events": 0, "rejected_lines": 0}


def test_a_torn_tail_and_a_foreign_line_stop_nothing(
    installation: Any, settings: OrchestrationSettings
) -> None:
    headers = {"Content-Type": "application/json"}
    with installation.receiver():
        requests.post(f"{installation.url}/webhooks/atoms", json=end("first"), headers=headers, timeout=20)
    (segment,) = (installation.home / "landing").rglob("*.ndjson")
    with segment.open("ab") as file:
        file.write(b'not an event\n{"event_id": "torn')
    with installation.receiver():
        requests.post(f"{installation.url}/webhooks/atoms", json=end("second"), headers=headers, timeout=20)
    assert pipeline.load_events(settings).rows == {"call_events": 2, "rejected_lines": 1}
    ((reason, line, offset),) = installation.warehouse(
        "select reason, line, byte_offset from raw.rejected_lines"
    )
    assert (reason, line) == ("not JSON", "not an event\n")
    assert segment.read_bytes()[offset:].startswith(b"not an event")
    assert pipeline.load_events(settings).rows == {"call_events": 0, "rejected_lines": 0}
    assert not pipeline.has_new_lines(settings)
