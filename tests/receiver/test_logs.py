"""What the log holds, and above all what it does not."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

Started = tuple[str, Path, subprocess.Popen[bytes]]
PERSON = {
    "event": "Rahul Sharma called",
    "call_id": "rahul.sharma@example.com",
    "id": "+15550001111",
    "caller_phone": "+15550001111",
    "direction": "Rahul",
    "name": "Rahul Sharma",
    "email": "rahul.sharma@example.com",
    "transcript": [{"role": "user", "content": "I am Rahul Sharma of Delhi, on 15550001111"}],
}
WORDS = ("rahul", "sharma", "example.com", "1111", "delhi")


@pytest.fixture(scope="module")
def receiver(start_receiver: Callable[..., Started]) -> tuple[str, Path]:
    url, home, _ = start_receiver()
    return url, home


def _post(url: str, body: bytes, source: str = "atoms", **headers: str) -> requests.Response:
    return requests.post(
        f"{url}/webhooks/{source}",
        data=body,
        headers={"Content-Type": "application/json"} | headers,
        timeout=60,
    )


def _logged(home: Path, request_id: str) -> dict[str, Any]:
    """The line of a request, which is written a moment after its answer."""
    deadline = time.monotonic() + 20
    while True:
        lines = [json.loads(line) for line in (home / "log").read_text().splitlines()]
        for line in lines:
            if line.get("request_id") == request_id:
                return dict(line)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_request_is_one_line_with_the_id_of_its_answer(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    answer = _post(url, b'{"event": "call.end"}')
    line = _logged(home, answer.headers["X-Request-Id"])
    assert line["level"] == "info"
    assert (line["source"], line["status"], line["reason"]) == ("atoms", 200, None)
    assert line["event_type"] == "call.end"
    assert line["event"] == answer.json()["event_id"]
    assert line["bytes"] == 21
    assert line["ms"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["time"])
    refused = _post(url, b"{")
    assert _logged(home, refused.headers["X-Request-Id"])["reason"] == "body"


@pytest.mark.parametrize(
    "sane", ["550e8400-e29b-41d4-a716-446655440000", "Root=1-67891233-abcdef012345678912345678", "req_12345"]
)
def test_a_sane_request_id_is_taken_over(receiver: tuple[str, Path], sane: str) -> None:
    url, home = receiver
    sane = sane.replace("_", "-")
    answer = _post(url, b"{}", **{"X-Request-Id": sane})
    assert answer.headers["X-Request-Id"] == sane
    assert _logged(home, sane)["status"] == 200


@pytest.mark.parametrize(
    "mad",
    ["short", "+15550001111", "15550001111", "a" * 200, "rahul@example.com", 'x","status":"1', "a b c d e f"],
)
def test_any_other_is_replaced(receiver: tuple[str, Path], mad: str) -> None:
    url, home = receiver
    answer = _post(url, b"{}", **{"X-Request-Id": mad})
    assert answer.headers["X-Request-Id"] != mad
    assert _logged(home, answer.headers["X-Request-Id"])["status"] == 200
    assert mad not in {line.get("request_id") for line in map(json.loads, (home / "log").open())}


def test_nothing_of_a_person_is_in_the_log_or_the_metrics(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    whole = json.dumps(PERSON).encode()
    wire = json.dumps({"id": "Rahul Sharma", "event": "Rahul.Sharma", "metadata": {"callId": "x", **PERSON}})
    answers = [
        _post(url, whole),
        _post(url, wire.encode()),
        _post(url, whole[:-1]),
        _post(url, whole, "generic", **{"webhook-id": "rahul.sharma@example.com"}),
        _post(url, whole, "Rahul"),
        _post(url, whole + b"Rahul"),
        _post(url, whole, **{"Content-Type": "text/rahul"}),
        _post(url, whole, **{"X-Request-Id": "rahul.sharma@example.com", "User-Agent": "Rahul"}),
        requests.get(f"{url}/rahul?phone=15550001111", timeout=20),
    ]
    assert {answer.status_code for answer in answers} == {200, 400, 404, 415}
    for answer in answers[:-1]:
        _logged(home, answer.headers["X-Request-Id"])
    metrics = requests.get(f"{url}/metrics", timeout=20).text.lower()
    log = (home / "log").read_text().lower()
    assert [word for word in WORDS if word in re.sub(r"[0-9a-f]{32,}", "", log)] == []
    assert [word for word in WORDS if word in metrics] == []


def test_an_unexpected_error_is_logged_by_place_and_type_alone(
    start_receiver: Callable[..., Started],
) -> None:
    url, home, _ = start_receiver(module="tests.receiver.faulty")
    answer = _post(url, b'{"name": "Rahul Sharma"}')
    assert answer.status_code == 500
    assert "its log has the reason" in answer.json()["detail"]
    assert _logged(home, answer.headers["X-Request-Id"])["reason"] == "error"
    errors = [line for line in map(json.loads, (home / "log").open()) if "error" in line]
    assert [line["error"] for line in errors] == ["KeyError"]
    assert any("faulty.py" in place for place in errors[0]["at"])
    assert "Rahul" not in (home / "log").read_text()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_the_death_of_workers_is_logged_in_json_too(start_receiver: Callable[..., Started]) -> None:
    _, home, process = start_receiver()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    first = children.read_text().split()
    os.kill(int(first[0]), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (second := children.read_text().split()) in ([], first):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(int(second[0]), signal.SIGKILL)
    assert process.wait(20) == 1
    lines = [json.loads(line) for line in (home / "log").read_text().splitlines()]
    messages = [line["message"] for line in lines if line["level"] == "error"]
    assert messages == [*["Unexpected exit from worker-1"] * 2, "Worker crash loop detected, exiting"]
    assert (home / "stdout").read_text() == ""
