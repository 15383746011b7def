"""The bench harness itself: results merge by name, a backlog is what a receiver would have landed, a load is one."""

import io
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench import bench_growth
from tests.bench.backlog import make_backlog
from tests.bench.http_load import measure
from tests.bench.record import Result, against, record, recorded, show
from tests.homes import landing_of


def test_results_replace_those_of_the_same_name_and_keep_the_others(tmp_path: Path) -> None:
    path = tmp_path / ".bench" / "results.json"
    record([Result("load", 9.0, "s"), Result("wait", 3.0, "s")], path)
    every = record([against("load", 8.0, "s", 4.0, "two cores")], path)
    assert every == [Result("load", 8.0, "s", 4.0, 2.0, "two cores"), Result("wait", 3.0, "s")]
    assert recorded(path) == every
    fields = {"name", "value", "unit", "baseline", "ratio", "note"}
    assert all(set(entry) == fields for entry in json.loads(path.read_text()))


def test_a_baseline_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="load"):
        against("load", 1.0, "s", 0.0)


def test_the_table_shows_every_result() -> None:
    out = io.StringIO()
    show([against("load", 8.0, "s", 4.0), Result("wait", 3.0, "s")], Console(file=out, width=120))
    assert all(word in out.getvalue() for word in ("load", "8.00 s", "4.00 s", "2.00", "wait", "3.00 s"))


def test_a_backlog_has_as_many_lines_as_asked_and_new_ids_in_every_copy(tmp_path: Path) -> None:
    make_backlog(tmp_path, 14_000, seed=3)
    store = landing_of(tmp_path)
    lines = [
        json.loads(text)
        for segment in store.segments()
        for text in store.read(segment.path, max_bytes=1 << 30).data.splitlines()
    ]
    store.close()
    assert len(lines) == 14_000
    deliveries = Counter(entry["event_id"] for entry in lines)
    assert max(deliveries.values()) == 2
    assert 0.03 < sum(times == 2 for times in deliveries.values()) / len(deliveries) < 0.07
    assert len({entry["call_id"] for entry in lines}) > 4000
    for entry in lines:
        payload = entry["payload"]
        said = payload["metadata"]["callId"] if "metadata" in payload else payload["call_id"]
        assert said == entry["call_id"]
        assert not entry["event_id"].startswith("sha256:") or "metadata" not in payload
    days = {entry["occurred_at"][:10] for entry in lines}
    assert len(days) == 3
    turns = [
        len(payload["transcript"])
        for payload in (entry["payload"].get("metadata", entry["payload"]) for entry in lines)
        if payload.get("transcript")
    ]
    assert min(turns) == 15


def test_the_slowest_models_are_named_after_either_history_and_of_the_rebuild() -> None:
    models = {f"model_{number:02}": float(number) for number in range(1, 13)}

    def passes(models: dict[str, float]) -> list[dict[str, dict[str, float]]]:
        """The first of them is no measure."""
        usual = {"parts": {"load": 1.0, "build": 2.0}, "models": models}
        return [{"parts": {"load": 90.0, "build": 90.0}, "models": {"model_12": 90.0}}, *[usual] * 5]

    short = {"passes": passes(models | {"slow_when_short": 50.0})}
    long = {
        "passes": passes(models), "rebuild_models": models, "rebuild": {"build": 100.0, "publish": 1.0},
        "events": 3, "peak_mib": 1.0, "warehouse_mib": 1.0,
    }  # fmt: skip
    found = {one.name: one for one in bench_growth.results_of(short, long)}
    slowest = [f"model_{number:02}" for number in range(12, 2, -1)]
    in_passes = [name.removeprefix("pass: model ") for name in found if name.startswith("pass: model ")]
    assert in_passes == [*slowest, "slow_when_short"]
    assert found["pass: model model_12"].value == 12
    assert found["pass over 1,000 events after 1,000,000 calls"].value == 3
    rebuilt = [name.removeprefix("rebuild: model ") for name in found if name.startswith("rebuild: model ")]
    assert rebuilt == slowest
    assert found["rebuild: model model_12"].note == "12% of the rebuild"


class _Refusing(BaseHTTPRequestHandler):
    """Answers 200, and every third request 503, after reading the body."""

    protocol_version = "HTTP/1.1"
    answered = count(1)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503 if next(self.answered) % 3 == 0 else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def test_the_load_generator_counts_every_answer_and_keeps_its_rate() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        request = b"POST / HTTP/1.1\r\ncontent-length: 200000\r\n\r\n" + b"x" * 200_000
        paced = measure(port, request, connections=2, seconds=0.5, rate=60)
        free = measure(port, request, connections=3, seconds=0.5)
        server.shutdown()
    assert paced.answers == {"200": 20, "503": 10}
    assert paced.seconds > 0.45
    assert free.answers["200"] > free.answers["503"] > 0
    assert 0 < free.p50 <= free.p99 <= free.p999
    assert free.per_second == free.answers["200"] / free.seconds
