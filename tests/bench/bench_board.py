"""The live board: how soon a start shows the day, and what a hundred viewers cost it and the receiver.

The day has a million events. Viewers hold the stream open from a process of their own; the receiver is loaded with
and without them in turn, while calls go on. What the page shows belongs to `tests/board`.
"""

import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import duckdb
import psutil
import requests

from integrations.board.home_token import home_token
from orchestration.tools import processes
from orchestration.tools.children import Children
from receiver.config import Home
from receiver.envelope import Facts, line, seal
from tests.bench.http_load import Load, measure
from tests.bench.record import Result, against

LIVE = ("floor", "active", "feed")
"""The parts of the page that show the live state."""
EVENTS = 1_000_000
LINE_BYTES = 1_400
AIM_SECONDS = 2.0
VIEWERS = 100
AIM_MEGABYTES = 300.0
ROUNDS = 3
DELAYS = 5
LOAD_SECONDS = 40.0
LOAD_CONNECTIONS = 16
LOAD_RATE = 200.0
CALLS_A_SECOND = 5.0
_ROOT = Path(__file__).parents[2]
_AUTHORIZATION = "AFTERCALL_BENCH_AUTHORIZATION"
_KINDS = ("call.start", "call.end", "analytics.completed")
_COPY = """
create table calls as
with numbered as (
    select unnest(range(-2 * $open, $calls + 1)) as number
),

timed as (
    select
        'call-' || printf('%07d', number) as call_id,
        [$begin + to_microseconds($step * (3 * (number + kind * $open) + kind)) for kind in [0, 1, 2]] as moments,
        number
    from numbered
),

received as (
    select
        call_id,
        case when number >= 0 and moments[1] <= $until then moments[1] end as start_received_at,
        case when number >= -$open and moments[2] <= $until then moments[2] end as end_received_at,
        case when moments[3] <= $until then moments[3] end as analytics_received_at
    from timed
)

select
    *, 'atoms:' || call_id as call_key, 'atoms' as source, '+12025550143' as customer_phone,
    cast(null as varchar) as direction, cast(null as varchar) as agent_id, start_received_at as started_at,
    greatest(start_received_at, end_received_at, analytics_received_at) as updated_at, updated_at as last_webhook_at,
    updated_at as began_at, cast(updated_at as date) as call_date,
    epoch(end_received_at - start_received_at) as duration_seconds,
    'completed' as status, 'answered' as answer_status
from received
where coalesce(start_received_at, end_received_at, analytics_received_at) is not null
"""


@dataclass(frozen=True)
class RunningBoard:
    """A running board, and when it was started."""

    process: psutil.Process
    url: str
    began: float
    home: Path

    def headers(self) -> dict[str, str]:
        """What lets a viewer in."""
        return {"Authorization": f"Bearer {home_token(Home(home=self.home))}"}

    def until(self, is_shown: Callable[[dict[str, str]], object]) -> tuple[float, dict[str, str]]:
        """Seconds from the start of the process until the parts of the page are as wanted, and these parts."""
        while True:
            try:
                parts = requests.get(f"{self.url}/parts", headers=self.headers(), timeout=5).json()
            except requests.RequestException:
                parts = {}
            if is_shown(parts):
                return time.monotonic() - self.began, parts
            assert time.monotonic() - self.began < 300, parts
            time.sleep(0.02)

    def until_live(self, pattern: str) -> tuple[float, dict[str, str]]:
        """The same, until the live tile matches."""
        return self.until(
            lambda parts: re.search(pattern, " ".join(re.sub("<[^>]+>", " ", parts.get("floor", "")).split()))
        )

    def all(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def megabytes(self) -> float:
        """Of all its processes, what they share counted once."""
        return sum(each.memory_full_info().pss for each in self.all()) / 1e6


def run() -> list[Result]:
    """A start from lines alone and one from a published copy after a kill, then the viewers."""
    with tempfile.TemporaryDirectory() as folder:
        restarts = _restarts(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        return [*restarts, *_viewers(Path(folder))]


def _restarts(home: Path) -> list[Result]:
    started = _write_day(home)
    counted = f"today {started} started"
    with running_board(home) as board:
        known, _ = board.until_live(r"Active now \d")
        cold, parts = board.until_live(counted)
        before, megabytes = {name: parts[name] for name in LIVE}, board.megabytes()
        for each in board.all():
            each.kill()
    _publish_day(home)
    with running_board(home) as board:
        warm, _ = board.until(lambda parts: {name: parts.get(name) for name in LIVE} == before)
        cpu, megabytes_warm = _cpu(*board.all()), board.megabytes()
    load = f"load average {os.getloadavg()[0]:.1f}"
    note = f"{EVENTS:,} events landed today; {load}; baseline: the aim"
    return [
        against(
            "board killed and restarted: the same state shown",
            warm,
            "s",
            AIM_SECONDS,
            f"calls on the line, feed and counts, from the published copy and the lines after it; "
            f"CPU {cpu:.1f} s; {note}",
        ),
        against("board over a day it never read: the calls on the line", known, "s", AIM_SECONDS, note),
        Result(
            "board over a day it never read: the day counted",
            cold,
            "s",
            note=f"nothing was published; {load}",
        ),
        against("memory of the board after such a day", megabytes, "MB", AIM_MEGABYTES, note),
        against("memory of the board started from a copy", megabytes_warm, "MB", AIM_MEGABYTES, note),
    ]


def _viewers(home: Path) -> list[Result]:
    with ExitStack() as stack:
        port = _free_port()
        children = stack.enter_context(
            Children(_environment(home, AFTERCALL_RECEIVER_BIND=f"127.0.0.1:{port}"), _ROOT, home)
        )
        children.start("receiver", processes.receiver_process())
        url = f"http://127.0.0.1:{port}"
        children.wait_until(lambda: processes.answers(f"{url}/readyz"), "receiver", 60)
        board = stack.enter_context(running_board(home))
        board.until_live("Active now 0 today 0 started")
        stack.enter_context(_traffic(url))
        receiver = psutil.Process(children.running["receiver"].pid).children()[0]
        pairs, megabytes, shares, delays = [], 0.0, [], []
        for _ in range(ROUNDS):
            alone = _loaded(port, receiver)
            with _watching(board) as viewers:
                before, began = _cpu(*board.all()), time.monotonic()
                pairs.append((alone, _loaded(port, receiver)))
                shares.append((_cpu(*board.all()) - before) / (time.monotonic() - began))
                megabytes = max(megabytes, board.megabytes())
                delays += [_delay(url, board) for _ in range(DELAYS)]
                assert viewers.poll() is None, "a viewer was sent away"
    (plain, plain_cpu), (watched, watched_cpu) = sorted(pairs, key=lambda pair: pair[1][1] / pair[0][1])[
        ROUNDS // 2
    ]
    held = f"{VIEWERS} viewers for {ROUNDS} times {LOAD_SECONDS:.0f} s"
    load = f"{LOAD_RATE:.0f} webhooks/s; baseline: the same without viewers"
    return [
        against(
            "board: acknowledged to shown, median",
            statistics.median(delays),
            "s",
            1.0,
            f"slowest of {len(delays)}: {max(delays):.2f} s; {VIEWERS} other viewers; baseline: the aim",
        ),
        against("receiver with viewers of the board: CPU", watched_cpu, "µs a request", plain_cpu, load),
        against("receiver with viewers of the board: wait, p50", watched.p50, "ms", plain.p50, load),
        against("receiver with viewers of the board: wait, p99", watched.p99, "ms", plain.p99, load),
        against(
            "memory of the board with viewers", megabytes, "MB", AIM_MEGABYTES, f"{held}; baseline: the aim"
        ),
        Result("CPU of the board with viewers", 100 * statistics.median(shares), "% of a core", note=held),
    ]


def _loaded(port: int, receiver: psutil.Process) -> tuple[Load, float]:
    """The waits at a steady rate, and the receiver's CPU a request in microseconds."""
    body = b'{"event":"call.start","call_id":"bench"}'
    request = (
        b"POST /webhooks/atoms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    before = _cpu(receiver)
    load = measure(port, request, LOAD_CONNECTIONS, LOAD_SECONDS, LOAD_RATE)
    assert set(load.answers) == {"200"}, load.answers
    return load, (_cpu(receiver) - before) / load.answers["200"] * 1e6


def _delay(receiver: str, board: RunningBoard) -> float:
    """Seconds from the acknowledgement of a call's start until a viewer is sent it."""
    call_id = uuid.uuid4().hex
    with requests.get(f"{board.url}/stream", headers=board.headers(), stream=True, timeout=20) as stream:
        lines = stream.iter_lines()
        next(lines)
        body = {"event": "call.start", "call_id": call_id}
        requests.post(f"{receiver}/webhooks/atoms", json=body, timeout=10).raise_for_status()
        acknowledged = time.monotonic()
        assert any(call_id.encode() in line for line in lines)
        return time.monotonic() - acknowledged


def _cpu(*of: psutil.Process) -> float:
    return sum(times.user + times.system for times in (each.cpu_times() for each in of))


@contextmanager
def _traffic(url: str) -> Iterator[None]:
    """Calls that start and end, so that viewers are sent something all the time."""
    ended = threading.Event()

    def post() -> None:
        with requests.Session() as session:
            while not ended.wait(1 / CALLS_A_SECOND):
                call = {"call_id": uuid.uuid4().hex, "caller_phone": "+12025550143"}
                for event in _KINDS:
                    session.post(f"{url}/webhooks/atoms", json={"event": event, **call}, timeout=10)

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _watching(board: RunningBoard) -> Iterator[subprocess.Popen[str]]:
    """`python -m tests.bench.bench_board PORT` in the background, once every viewer has its first frame."""
    command = [sys.executable, "-m", "tests.bench.bench_board", board.url.rpartition(":")[2]]
    environment = os.environ | {_AUTHORIZATION: board.headers()["Authorization"]}
    process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        yield process
    finally:
        process.kill()
        process.wait()


def _watch(port: int) -> None:
    """Hold the streams, and take what comes; raises AssertionError when the board ends one."""
    os.nice(10)  # real viewers compute elsewhere
    selector, silent = selectors.DefaultSelector(), set()
    for _ in range(VIEWERS):
        viewer = socket.create_connection(("127.0.0.1", port), timeout=20)
        head = (
            f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {os.environ[_AUTHORIZATION]}\r\n\r\n"
        )
        viewer.sendall(head.encode())
        selector.register(viewer, selectors.EVENT_READ)
        silent.add(viewer)
    while True:
        for key, _ in selector.select():
            data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
            assert data, "the board ended a stream"
            if silent and b"event: part" in data:
                silent.discard(key.fileobj)  # type: ignore[arg-type]
                if not silent:
                    print("watching", flush=True)


@contextmanager
def running_board(home: Path) -> Iterator[RunningBoard]:
    """A board over a home, in a zone where the day has lasted for 22 hours."""
    bind, (zone, _) = f"127.0.0.1:{_free_port()}", _long_day()
    environment = _environment(home, AFTERCALL_BOARD_BIND=bind, AFTERCALL_BOARD_TIME_ZONE=zone)
    began = time.monotonic()
    process = subprocess.Popen(processes.board_process(), cwd=_ROOT, env=environment)
    try:
        yield RunningBoard(psutil.Process(process.pid), f"http://{bind}", began, home)
    finally:
        process.terminate()
        process.wait(20)


def _environment(home: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AFTERCALL_")}
    return {
        **clean,
        "AFTERCALL_HOME": str(home),
        "AFTERCALL_DAGSTER_BIND": f"127.0.0.1:{_free_port()}",
        **more,
    }


@cache
def _long_day() -> tuple[str, datetime]:
    """A zone in which it is ten at night, so that no day ends during the bench, and when its day began."""
    now = datetime.now(UTC)
    hours = 22 - now.hour if now.hour >= 8 else -2 - now.hour
    zone = f"Etc/GMT{-hours:+d}" if hours else "UTC"
    return zone, now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=22)


@cache
def _pace() -> tuple[datetime, timedelta, int]:
    """When the day began, the time from event to event, and how many calls are on the line at once."""
    _, begin = _long_day()
    return begin, (datetime.now(UTC) - begin) / EVENTS, 60


def _write_day(home: Path) -> int:
    """A day of calls in the landing store, evenly spread until now; returns how many started.

    As the receiver writes it, but one segment an hour without a sync. Of the last calls some have not ended.
    """
    begin, step, calls_open = _pace()
    padding = b'"transcript":"%s"' % (b"x" * (LINE_BYTES - 400))
    segment, hour = None, ""
    for number in range(EVENTS):
        kind, at = number % 3, begin + step * number
        call = number // 3 - calls_open * kind
        facts = Facts(
            event_type=_KINDS[kind], call_id=f"call-{call:07}", occurred_at=at, customer_phone="+12025550143"
        )
        body = b'{"call_id":"call-%07d","event":"%s",%s}' % (call, _KINDS[kind].encode(), padding)
        if segment is None or f"{at:%Y-%m-%d/%H}" != hour:
            hour = f"{at:%Y-%m-%d/%H}"
            path = home / "landing" / hour / f"{at:%Y%m%dT%H%M%S%f}Z-{number:08x}.ndjson"
            path.parent.mkdir(parents=True)
            if segment is not None:
                segment.close()
            segment = path.open("wb")
        segment.write(line(seal("atoms", facts, body, at), body))
    assert segment is not None
    segment.close()
    return -(-EVENTS // 3)


def _publish_day(home: Path) -> None:
    """A published copy of the day, but for the events of the last minute."""
    begin, step, calls_open = _pace()
    until = datetime.now(UTC) - timedelta(minutes=1)
    values = {
        "begin": begin.replace(tzinfo=None),
        "until": until.replace(tzinfo=None),
        "step": step // timedelta(microseconds=1),
        "open": calls_open,
        "calls": EVENTS // 3,
    }
    path = home / "published" / "marts.duckdb"
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(_COPY, values)
        connection.execute(
            "create table call_outcomes (call_key varchar, issue_type varchar, is_resolved boolean)"
        )
        for column in ("satisfaction_score integer", "is_transfer_requested boolean"):
            connection.execute(f"alter table call_outcomes add column {column}")
        connection.execute(
            "create table actions (call_ended_at timestamp, seconds_from_call_end_to_sent double)"
        )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
