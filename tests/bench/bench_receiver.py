"""Durable acknowledgements of the receiver against a Flask route that does nothing, under the same server.

Both are loaded in turn, by one client process on the same cores; the pair with the median ratio counts. A second
baseline is the same route on granian's own WSGI with a thread a request. What the disk itself takes stands beside them,
and what a client that behaves waits beside those that do not.
"""

import hmac
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response

from receiver.config import ReceiverSettings
from tests.bench.hostile_clients import rude_clients
from tests.bench.http_load import Load, measure
from tests.bench.record import Result, against

CONNECTIONS = (32, 128)
KILOBYTES = (1, 10, 100)
SECONDS = 4.0
ROUNDS = 5
ROUNDS_OF_LARGER = 3
WELL_BEHAVED, WELL_BEHAVED_RATE = 4, 200.0
WSGI_THREADS = 32
AIM_MILLISECONDS = 30.0
_ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_SECRET = "bench"


@dataclass(frozen=True)
class Server:
    """A running server, for as long as the bench needs it."""

    process: subprocess.Popen[bytes]
    port: int

    def load(self, request: bytes, connections: int, rate: float | None = None) -> Load:
        """Load it; every answer must be a 200, of the receiver's a durable one."""
        load = measure(self.port, request, connections, SECONDS, rate)
        assert set(load.answers) == {"200"}, load.answers
        return load

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def cpu_seconds(self) -> float:
        """Of all workers since their start."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.workers()]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / _TICKS

    def memory(self) -> float:
        """Resident MiB of the largest worker, pages shared with its parent included."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self.workers()]
        return max(int(status.partition("VmRSS:")[2].split()[0]) for status in statuses) / 1024


def run() -> list[Result]:
    """Requests/s at two numbers of connections and three sizes of body, and the waits at half the load."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        receiver, nothing, wsgi = (
            stack.enter_context(_server(kind, Path(folder) / kind))
            for kind in ("receiver", "nothing", "wsgi")
        )
        disk = _disk_alone(Path(folder))
        results = [
            Result("one commit of the disk alone, median", disk, "ms", note="4 KB, write and fdatasync")
        ]
        for connections in CONNECTIONS:
            results += _in_turn(receiver, nothing, wsgi, connections)
            for kilobytes in KILOBYTES[1:]:
                results += _larger(receiver, nothing, kilobytes, connections)
        results += _beside_rude_clients(receiver)
        return [*results, Result("memory of a receiver's worker", receiver.memory(), "MiB")]


def _in_turn(receiver: Server, nothing: Server, wsgi: Server, connections: int) -> list[Result]:
    request = _request(1)
    name = f"durable acknowledgements, {connections} connections"
    durable, baseline, cpu = _median_pair(receiver, nothing, request, connections, ROUNDS)
    threads = wsgi.load(request, connections)
    half = receiver.load(request, connections, rate=durable.per_second / 2)
    load = f"load average {os.getloadavg()[0]:.1f}"
    return [
        against(name, durable.per_second, "requests/s", baseline.per_second,
                f"baseline: a Flask route that does nothing, same server; aim 0.6; {_waits(durable)}; {load}"),
        against(f"{name}, against threads", durable.per_second, "requests/s", threads.per_second,
                f"baseline: that route on granian's WSGI, {WSGI_THREADS} threads; {_waits(threads)}"),
        against(f"{name}: wait at half that load, p99", half.p99, "ms", AIM_MILLISECONDS,
                f"baseline: the aim; {_waits(half)}"),
        _cpu(name, cpu),
    ]  # fmt: skip


def _larger(receiver: Server, nothing: Server, kilobytes: int, connections: int) -> list[Result]:
    name = f"durable acknowledgements, {connections} connections, {kilobytes} KB"
    durable, baseline, cpu = _median_pair(
        receiver, nothing, _request(kilobytes), connections, ROUNDS_OF_LARGER
    )
    return [
        against(name, durable.per_second, "requests/s", baseline.per_second, _waits(durable)),
        _cpu(name, cpu),
    ]


def _median_pair(
    receiver: Server, nothing: Server, request: bytes, connections: int, rounds: int
) -> tuple[Load, Load, float]:
    """Loads of the receiver and of the baseline in turn, and the receiver's microseconds of CPU a request."""
    before, count = receiver.cpu_seconds(), 0
    pairs = []
    for _ in range(rounds):
        pairs.append((receiver.load(request, connections), nothing.load(request, connections)))
        count += pairs[-1][0].answers["200"]
    cpu = (receiver.cpu_seconds() - before) / count * 1e6
    durable, baseline = sorted(pairs, key=_ratio)[rounds // 2]
    return durable, baseline, cpu


def _cpu(name: str, microseconds: float) -> Result:
    return Result(
        f"{name}: CPU", microseconds, "µs a request", note="of the server's worker, all its threads"
    )


def _beside_rude_clients(receiver: Server) -> list[Result]:
    """The waits of a client that behaves, beside hundreds that do not and alone."""
    request = _request(1)
    pairs = []
    for _ in range(ROUNDS_OF_LARGER):
        alone = receiver.load(request, WELL_BEHAVED, rate=WELL_BEHAVED_RATE)
        with rude_clients(receiver.port, request):
            pairs.append((receiver.load(request, WELL_BEHAVED, rate=WELL_BEHAVED_RATE), alone))
    beside, alone = sorted(pairs, key=lambda pair: pair[0].p99 / pair[1].p99)[len(pairs) // 2]
    name = "a well-behaved client beside slow, half-open, pipelining and lying ones"
    note = f"baseline: alone, {WELL_BEHAVED_RATE:g} requests/s"
    return [
        against(f"{name}: wait, p50", beside.p50, "ms", alone.p50, f"{note}; {_waits(beside)}"),
        against(f"{name}: wait, p99", beside.p99, "ms", alone.p99, f"{note}; {_waits(alone)} alone"),
    ]


def _ratio(pair: tuple[Load, Load]) -> float:
    return pair[0].per_second / pair[1].per_second


def _waits(load: Load) -> str:
    return f"p50 {load.p50:.1f}, p99 {load.p99:.1f}, p99.9 {load.p999:.1f} ms"


def _request(kilobytes: int) -> bytes:
    """A signed end of a call, with as much transcript as makes its size."""
    turns = [{"role": "agent", "content": "Thank you for calling, how may I help you today?"}]
    event: dict[str, Any] = {
        "event": "call.end",
        "timestamp": "2026-11-23T08:00:00Z",
        "call_id": "bench-1",
        "duration_seconds": 42.0,
        "disposition": "transferred",
        "variables": {"user_number": "+14155550142"},
    }
    event["transcript"] = turns * ((kilobytes * 1000 - len(orjson.dumps(event))) // len(orjson.dumps(turns)))
    body = orjson.dumps(event)
    signature = hmac.digest(_SECRET.encode(), body, "sha256").hex().encode()
    return (
        b"POST /webhooks/atoms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"X-Signature: %s\r\nContent-Length: %d\r\n\r\n%s" % (signature, len(body), body)
    )


def _disk_alone(folder: Path) -> float:
    """Milliseconds of an append and its sync, as the receiver does them."""
    took = []
    with (folder / "disk").open("ab", buffering=0) as file:
        for _ in range(300):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


@contextmanager
def _server(kind: str, folder: Path) -> Iterator[Server]:
    """`python -m tests.bench.bench_receiver KIND` in the background, once it answers."""
    folder.mkdir()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AFTERCALL_")}
    mine = {
        "AFTERCALL_HOME": str(folder / "home"),
        "AFTERCALL_RECEIVER_BIND": f"127.0.0.1:{port}",
        "AFTERCALL_SECRET_ATOMS": _SECRET,
        "AFTERCALL_RECEIVER_REPEATS": "0",  # the load is one event, and each is to be landed
        "PYTHONPATH": str(_ROOT),
    }
    command = [sys.executable, "-m", "tests.bench.bench_receiver", kind]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=clean | mine, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except ConnectionError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(20)


def _route() -> Flask:
    app = Flask("nothing", static_folder=None)

    @app.post("/webhooks/atoms")
    def nothing() -> Response:
        return Response(b'{"status":"accepted","event_id":"nothing"}', content_type="application/json")

    return app


def _nothing(settings: ReceiverSettings) -> object:
    from receiver import logs
    from receiver.bridge import Bridge
    from receiver.landing import free_bytes_of, open_landing
    from receiver.metrics import Metrics

    landing = open_landing(settings.landing)
    return Bridge(_route(), landing, settings, Metrics(free_bytes_of(landing)), logs.configure())


def _serve(kind: str) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    from receiver.serve import serve

    if kind != "wsgi":
        serve(load=_nothing if kind == "nothing" else None)
        return
    server = Granian(
        "bench", port=ReceiverSettings().port, interface=Interfaces.WSGI, blocking_threads=WSGI_THREADS
    )
    server.serve(target_loader=_route, wrap_loader=False)


if __name__ == "__main__":
    _serve(sys.argv[1])
