"""More than the receiver can take, and clients that do not behave: over raw sockets where a library would be polite."""

import gzip
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from receiver.landing import open_landing
from receiver.serve import HEADER_SECONDS

Started = tuple[str, Path, subprocess.Popen[bytes]]
JSON = {"Content-Type": "application/json"}
HEAD = b"POST /webhooks/atoms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def receiver(start_receiver: Callable[..., Started]) -> tuple[str, Path]:
    url, home, _ = start_receiver(receiver_body_seconds="2", receiver_max_body_bytes="1000000")
    return url, home


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as clients:
        yield clients


def _post(url: str, body: bytes = b'{"call_id":"x"}') -> requests.Response:
    return requests.post(f"{url}/webhooks/atoms", data=body, headers=JSON, timeout=60)


def _refused(answer: requests.Response, status: int = 503) -> str:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert status != 503 or int(answer.headers["Retry-After"]) > 0
    return str(answer.json()["detail"])


def _landed(home: Path) -> list[Any]:
    store = open_landing(home)
    return [
        json.loads(line)["payload"]
        for segment in store.segments()
        for line in store.read(segment.path, 0, 1 << 30).data.splitlines()
    ]


def _connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=40)


def _rest(connection: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def _raw(url: str, request: bytes, answers: int = 1, ends: bool = False) -> bytes:
    """What comes back until there are so many answers or the server hangs up; `ends`: the client says no more."""
    received = b""
    with _connect(url) as connection:
        try:
            connection.sendall(request)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while received.count(b"HTTP/1.1 ") < answers and (data := connection.recv(65536)):
                received += data
        except ConnectionError:  # the server hung up on a sender that went on
            pass
    return received


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _stall(home: Path) -> Path:
    stall = home / "stall"
    stall.touch()
    return stall


def test_beyond_the_queue_is_503_at_once_and_what_was_taken_is_answered(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor
) -> None:
    url, home, _ = start_receiver(module="tests.receiver.stallable", receiver_queue="8")
    assert _post(url, b"0").status_code == 200
    stall = _stall(home)
    answers = [pool.submit(_post, url, b"%d" % number) for number in range(1, 41)]
    _wait_until(lambda: sum(answer.done() for answer in answers) == 32)
    assert all("waiting" in _refused(answer.result()) for answer in answers if answer.done())
    assert requests.get(f"{url}/healthz", timeout=20).ok
    assert "has not answered" in _refused(requests.get(f"{url}/readyz", timeout=20))
    metrics = requests.get(f"{url}/metrics", timeout=20).text
    assert 'aftercall_receiver_refused_total{reason="queue",source="unknown"} 32' in metrics
    stall.unlink()
    taken = [number for number, answer in enumerate(answers, 1) if answer.result().status_code == 200]
    assert len(taken) == 8
    assert sorted(_landed(home), key=str) == sorted([0, *taken], key=str)
    assert requests.get(f"{url}/readyz", timeout=20).ok


def test_nobody_waits_for_a_disk_that_does_not_answer(start_receiver: Callable[..., Started]) -> None:
    url, home, _ = start_receiver(module="tests.receiver.stallable", receiver_commit_seconds="0.5")
    stall = _stall(home)
    assert "send it again" in _refused(_post(url))
    assert "send it again" in _refused(_post(url))
    stall.unlink()
    assert _post(url).status_code == 200


@pytest.mark.parametrize("to", ["parent", "worker"])
def test_stop_answers_what_was_taken_and_takes_nothing_new(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor, to: str
) -> None:
    url, home, process = start_receiver(module="tests.receiver.stallable", receiver_grace_seconds="20")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if to == "worker" and not children.exists():
        pytest.skip("needs /proc")
    stall = _stall(home)
    taken = [pool.submit(_post, url, b"%d" % number) for number in range(5)]
    _wait_until(lambda: _queued(url) == 5)
    reading = _connect(url)
    reading.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert reading.recv(65536).startswith(b"HTTP/1.1 100")
    for pid in [process.pid] if to == "parent" else map(int, children.read_text().split()):
        subprocess.run(["kill", "-TERM", str(pid)], check=True)
    _wait_until(lambda: "stopping" in _refused(requests.get(f"{url}/readyz", timeout=20)))
    assert "stopping" in _refused(_post(url, b"99"))
    assert requests.get(f"{url}/healthz", timeout=20).ok
    reading.sendall(b"10")
    stall.unlink()
    assert [answer.result().status_code for answer in taken] == [200] * 5
    assert _rest(reading).startswith(b"HTTP/1.1 200")
    if to == "parent":
        process.wait(timeout=20)
    else:
        _wait_until(lambda: _takes(url))
    assert set(_landed(home)) - {99} == {0, 1, 2, 3, 4, 10}


def test_stop_waits_no_longer_than_the_grace_for_a_disk_and_a_body_that_never_come(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor
) -> None:
    patient = {"receiver_commit_seconds": "600", "receiver_body_seconds": "600"}
    url, home, process = start_receiver(
        module="tests.receiver.stallable", receiver_grace_seconds="1", **patient
    )
    _stall(home)
    waiting = pool.submit(_post, url, b"1")
    _wait_until(lambda: _queued(url) == 1)
    reading = _connect(url)
    reading.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert reading.recv(65536).startswith(b"HTTP/1.1 100")
    process.terminate()
    process.wait(timeout=60)
    assert isinstance(waiting.exception(timeout=20), requests.ConnectionError)
    with pytest.raises(ConnectionError):
        _connect(url)
    log = [json.loads(line)["message"] for line in (home / "log").read_text().splitlines()]
    assert "stopping: 2 requests in hand" in log


def _queued(url: str) -> int:
    text = requests.get(f"{url}/metrics", timeout=20).text
    return int(float(text.rpartition("\naftercall_receiver_queue_requests ")[2].partition("\n")[0]))


def _takes(url: str) -> bool:
    try:
        return _post(url, b"99").status_code == 200
    except requests.ConnectionError:
        return False


def test_recycled_workers_lose_nothing_that_was_acknowledged(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor
) -> None:
    url, home, process = start_receiver(receiver_workers="2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("needs /proc")
    before = set(children.read_text().split())
    stop: Future[None] = Future()

    def send(client: int) -> list[str]:
        acknowledged: list[str] = []
        while not stop.done():
            call = f"{client}-{len(acknowledged)}"
            try:
                answer = _post(url, json.dumps(call).encode())
            except requests.ConnectionError:
                continue
            assert answer.status_code == 200 or _refused(answer)
            if answer.ok:
                acknowledged.append(call)
        return acknowledged

    clients = [pool.submit(send, client) for client in range(4)]
    process.send_signal(signal.SIGHUP)
    _wait_until(lambda: not before & set(children.read_text().split()))
    stop.set_result(None)
    acknowledged = {call for client in clients for call in client.result()}
    assert len(acknowledged) > 100
    assert acknowledged <= {str(call) for call in _landed(home)}


def test_hundreds_of_slow_and_silent_clients_hold_up_nobody(receiver: tuple[str, Path]) -> None:
    url, _ = receiver
    slow = [_connect(url) for _ in range(300)]
    for connection in slow:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    silent = [_connect(url) for _ in range(300)]
    for connection in silent:
        connection.sendall(b"POST /webhooks/at")
    for _ in range(50):
        assert _post(url).status_code == 200
    assert all(connection.recv(12) == b"HTTP/1.1 408" for connection in slow)
    for connection in slow + silent:
        connection.close()


def test_half_open_and_idle_connections_are_closed(start_receiver: Callable[..., Started]) -> None:
    url, _, _ = start_receiver(module="tests.receiver.impatient")
    half_open = [_connect(url) for _ in range(50)]
    for number, connection in enumerate(half_open):
        connection.sendall(HEAD[: 1 + number])
    silent, idle = _connect(url), _connect(url)
    idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert _post(url).status_code == 200
    assert all(_rest(connection)[:12] in (b"HTTP/1.1 408", b"") for connection in half_open)
    assert _rest(silent) == b""
    assert _rest(idle).count(b"HTTP/1.1 200") == 1
    for connection in [*half_open, silent, idle]:
        connection.close()
    assert HEADER_SECONDS <= 30


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_bomb_is_refused_and_never_unpacked(start_receiver: Callable[..., Started]) -> None:
    url, home, process = start_receiver()
    bomb = gzip.compress(bytes(10 << 20)) * 100
    assert len(bomb) < 2 << 20
    assert _post(url, b'"' + b"x" * len(bomb) + b'"').status_code == 200
    before = _peak_bytes(process)
    for headers, status in (
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/gzip"}, 415),
        ({"Content-Type": "application/json; charset=gzip"}, 415),
        ({}, 400),
    ):
        answer = requests.post(f"{url}/webhooks/atoms", data=bomb, headers=JSON | headers, timeout=60)
        _refused(answer, status)
    assert _peak_bytes(process) - before < 50 << 20
    assert len(_landed(home)) == 1


def _peak_bytes(process: subprocess.Popen[bytes]) -> int:
    """The most memory that the worker process ever held."""
    (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(Path(f"/proc/{worker}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def test_large_bodies_share_a_bound_that_small_ones_pass_by(start_receiver: Callable[..., Started]) -> None:
    url, home, _ = start_receiver(receiver_queue_bytes="1500000", receiver_body_seconds="20")
    first, second = _connect(url), _connect(url)
    half = b'"' + b"x" * 999_999
    for connection in (first, second):
        connection.sendall(HEAD + b"Content-Length: 2000000\r\n\r\n" + half)
    answer = b""
    while not answer:
        for connection in (first, second):
            connection.settimeout(0.05)
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: " in answer
    assert _post(url, b'"small"').status_code == 200
    assert _landed(home) == ["small"]


def test_a_length_over_the_limit_is_refused_before_the_body_is_read(receiver: tuple[str, Path]) -> None:
    with _connect(receiver[0]) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000001\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + b"Content-Length: -1\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", 415),
        (HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(500)) + b"\r\n", 431),
        (HEAD + b"X-Large: " + b"a" * 1_000_000 + b"\r\n\r\n", 431),
        (b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    ],
    ids=["negative", "two lengths", "no chunk", "compressed", "many headers", "large header", "long address"],
)  # fmt: skip
def test_what_lies_is_refused_and_nothing_is_kept(
    receiver: tuple[str, Path], request_: bytes, status: int
) -> None:
    url, home = receiver
    before = len(_landed(home))
    assert _raw(url, request_)[:12] in (b"HTTP/1.1 %d" % status, b"")
    assert requests.get(f"{url}/healthz", timeout=20).ok
    assert len(_landed(home)) == before


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 100\r\n\r\n{}", b"Content-Length: 100000\r\n\r\n{}",
     b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
    ids=["short", "short of a large one", "chunks without an end"],
)  # fmt: skip
def test_a_torn_body_is_refused_although_its_beginning_is_json(
    receiver: tuple[str, Path], framing: bytes
) -> None:
    url, home = receiver
    before = len(_landed(home))
    assert _raw(url, HEAD + framing, ends=True).startswith(b"HTTP/1.1 400")
    assert len(_landed(home)) == before


def test_a_body_longer_than_declared_is_cut_and_the_connection_closed(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    with _connect(url) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}{}{}\r\n\r\n")
        answers = _rest(connection)
    assert answers.startswith(b"HTTP/1.1 200")
    assert answers.count(b"HTTP/1.1 ") == answers.count(b"HTTP/1.1 400") + 1 == 2
    assert _landed(home)[-1] == {}


def test_chunks_and_a_length_together_are_bounded_like_chunks(receiver: tuple[str, Path]) -> None:
    url, _ = receiver
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    both = b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    assert _raw(url, HEAD + both + chunk * 32)[:12] in (b"HTTP/1.1 413", b"")


def test_pipelined_requests_are_all_answered_in_order(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    bodies = [b'"p%d"' % number for number in range(20)]
    pipeline = b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies)
    assert _raw(url, pipeline, answers=20).count(b"HTTP/1.1 200") == 20
    assert _landed(home)[-20:] == [f"p{number}" for number in range(20)]


def test_a_body_that_is_slow_to_parse_holds_up_nobody(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor
) -> None:
    url, home, _ = start_receiver()
    heavy = b"[" + b'{"a":[]},' * 400_000 + b'"\\ud83d"]'
    answers = [pool.submit(_post, url, heavy) for _ in range(4)]
    assert all(_post(url, b'"light"').status_code == 200 for _ in range(20))
    wait(answers)
    assert [answer.result().status_code for answer in answers] == [200] * 4
    assert _landed(home).count("light") == 20
