"""What /metrics says, over several processes and over the death of one."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import orjson
import pytest
import requests
import yaml  # type: ignore[import-untyped]

Started = tuple[str, Path, subprocess.Popen[bytes]]
MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
QUEUE = "aftercall_receiver_queue_requests"
LAST_EVENT = 'aftercall_receiver_last_event_timestamp_seconds{source="atoms"}'
RULE = {"alert", "expr", "for", "labels", "annotations"}
NAME = re.compile(r"aftercall_receiver_\w+")


def _post(url: str, body: bytes = b"{}", source: str = "atoms", kind: str = "application/json") -> int:
    try:
        return requests.post(
            f"{url}/webhooks/{source}", data=body, headers={"Content-Type": kind}, timeout=60
        ).status_code
    except requests.ConnectionError:
        return 0


def _metrics(url: str) -> dict[str, float]:
    """Values by series, as one of the processes says."""
    text = requests.get(f"{url}/metrics", timeout=20).text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


def _accepted(url: str) -> float:
    return sum(
        value for series, value in _metrics(url).items() if series.startswith("aftercall_receiver_events")
    )


def _settles(url: str, accepted: int) -> bool:
    """Whether every process says so many, once all have written down their last tenth of a second."""
    deadline = time.monotonic() + 20
    while _accepted(url) != accepted and time.monotonic() < deadline:
        time.sleep(0.05)
    return {_accepted(url) for _ in range(20)} == {accepted}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_counts_of_all_processes_neither_fall_nor_double_when_one_is_killed(
    start_receiver: Callable[..., Started],
) -> None:
    url, home, process = start_receiver(receiver_workers="3")
    assert [_post(url) for _ in range(200)] == [200] * 200
    assert len(list((home / "landing").rglob("*.ndjson"))) == 3
    assert _settles(url, 200)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    killed = children.read_text().split()[0]
    os.kill(int(killed), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while killed in children.read_text().split() or len(children.read_text().split()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert _settles(url, 200)
    more = 0
    while more < 100:
        more += _post(url) == 200
    assert _settles(url, 300)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_what_a_killed_process_had_waiting_is_forgotten_and_its_last_event_is_not(
    start_receiver: Callable[..., Started],
) -> None:
    settings = {"receiver_workers": "2", "receiver_commit_seconds": "600", "receiver_repeats": "0"}
    url, home, process = start_receiver(module="tests.receiver.stalled_disk_receiver", **settings)
    posted = 0
    while len(segments := list((home / "landing").rglob("*.ndjson"))) < 2:
        posted += _post(url) == 200
    newest = max(segments, key=lambda segment: segment.stat().st_mtime_ns)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (its_writer,) = (int(child) for child in children if newest in _open_files(child))
    assert _settles(url, posted)
    last_event = _metrics(url)[LAST_EVENT]
    (home / "stall").touch()
    with ThreadPoolExecutor(20) as clients:
        answers = [clients.submit(_post, url) for _ in range(20)]
        assert _all_say(url, QUEUE, lambda: 20)
        os.kill(its_writer, signal.SIGKILL)
        wait(answers, timeout=20, return_when=FIRST_COMPLETED)
        assert _all_say(url, QUEUE, lambda: 20 - sum(answer.done() for answer in answers))
        lost = sum(answer.done() for answer in answers)
        assert _metrics(url)[LAST_EVENT] == last_event
        (home / "stall").unlink()
        assert sorted(answer.result() for answer in answers) == [0] * lost + [200] * (20 - lost)
    assert 0 < lost < 20
    assert _all_say(url, QUEUE, lambda: 0)
    assert _metrics(url)[LAST_EVENT] > last_event


def _open_files(pid: str) -> set[Path]:
    return {fd.readlink() for fd in Path(f"/proc/{pid}/fd").iterdir()}


def _all_say(url: str, series: str, value: Callable[[], int]) -> bool:
    """Whether in the end every process says so."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if {_metrics(url)[series] for _ in range(20)} == {value()}:
                return True
        except requests.ConnectionError:  # of a process that was killed
            pass
    return False


def test_a_restart_begins_at_nothing(start_receiver: Callable[..., Started]) -> None:
    url, home, process = start_receiver()
    assert _post(url) == 200
    assert _settles(url, 1)
    process.kill()
    process.wait()
    port = int(url.rpartition(":")[2])
    deadline = time.monotonic() + 20
    while _is_taken(port):  # by the worker, until it notices
        assert time.monotonic() < deadline
        time.sleep(0.1)
    again, _, _ = start_receiver(home=str(home), port=port)
    assert _accepted(again) == 0


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def test_every_answer_is_counted_with_its_reason(start_receiver: Callable[..., Started]) -> None:
    url, _, _ = start_receiver(receiver_max_body_bytes="100")
    before = time.time()
    assert _post(url, b'{"event": "call.end"}') == 200
    assert _post(url, b'{"event": "a name"}') == 200
    assert _post(url, b"{") == 400
    assert _post(url, b" " * 101) == 413
    assert _post(url, kind="text/plain") == 415
    assert _post(url, source="nobody") == 404
    assert _settles(url, 2)
    metrics = _metrics(url)
    prefix = "aftercall_receiver_"
    assert metrics[prefix + 'requests_total{source="atoms",status="200"}'] == 2
    assert metrics[prefix + 'events_total{event_type="call.end",source="atoms"}'] == 1
    assert metrics[prefix + 'events_total{event_type="other",source="atoms"}'] == 1
    assert metrics[prefix + 'refused_total{reason="body",source="atoms"}'] == 1
    assert metrics[prefix + 'refused_total{reason="too_large",source="unknown"}'] == 1
    assert metrics[prefix + 'refused_total{reason="content_type",source="atoms"}'] == 1
    assert metrics[prefix + 'refused_total{reason="not_found",source="unknown"}'] == 1
    assert metrics[prefix + "landed_bytes_total"] == len(b'{"event": "call.end"}{"event": "a name"}')
    assert metrics[prefix + "commit_lines_sum"] == 2
    assert 0 < metrics[prefix + "commit_seconds_sum"] < 60
    assert metrics[prefix + "queue_requests"] == 0
    assert metrics[prefix + "landing_free_bytes"] > 0
    assert before <= metrics[prefix + 'last_event_timestamp_seconds{source="atoms"}'] <= time.time()


@pytest.mark.parametrize("name", ["alerts.yml", "dashboard.json"])
def test_the_examples_name_only_metrics_that_exist(start_receiver: Callable[..., Started], name: str) -> None:
    url, _, _ = start_receiver()
    assert _post(url) == 200
    assert _post(url, b"{") == 400
    assert _settles(url, 1)
    exist = {series.partition("{")[0] for series in _metrics(url)}
    text = (MONITORING / name).read_text()
    read = yaml.safe_load(text) if name.endswith(".yml") else orjson.loads(text)
    named = set(NAME.findall(str(read)))
    assert len(named) > 5
    assert named <= exist


def test_the_alert_rules_are_rules() -> None:
    (group,) = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    assert group.keys() == {"name", "rules"}
    for rule in group["rules"]:
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys() <= RULE
        assert NAME.search(rule["expr"]) or rule["expr"].startswith("up{")
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+m", rule.get("for", "0m"))
    alerts = [rule["alert"] for rule in group["rules"]]
    assert len(set(alerts)) == len(alerts) > 5


def test_the_dashboard_is_one() -> None:
    dashboard = orjson.loads((MONITORING / "dashboard.json").read_bytes())
    assert dashboard["title"]
    assert all(panel["targets"] and panel["title"] for panel in dashboard["panels"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
