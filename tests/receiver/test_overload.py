"""More than the receiver can take, and clients that do not behave: by raw sockets."""

import gzip
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests

from receiver.serve import HEADER_SECONDS
from tests.receiver.raw_client import (
    HEAD,
    JSON,
    Started,
    connect,
    landed,
    post,
    raw,
    refused,
    rest,
    stall_disk,
    wait_until,
)


@pytest.fixture(scope="module")
def receiver(start_receiver: Callable[..., Started]) -> tuple[str, Path]:
    url, home, _ = start_receiver(receiver_body_seconds="2", receiver_max_body_bytes="1000000")
    return url, home


def test_beyond_the_queue_is_503_at_once_and_what_was_taken_is_answered(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor
) -> None:
    url, home, _ = start_receiver(module="tests.receiver.stalled_disk_receiver", receiver_queue="8")
    assert post(url, b"0").status_code == 200
    stall = stall_disk(home)
    answers = [pool.submit(post, url, b"%d" % number) for number in range(1, 41)]
    wait_until(lambda: sum(answer.done() for answer in answers) == 32)
    assert all("waiting" in refused(answer.result()) for answer in answers if answer.done())
    assert requests.get(f"{url}/healthz", timeout=20).ok
    assert "has not answered" in refused(requests.get(f"{url}/readyz", timeout=20))
    metrics = requests.get(f"{url}/metrics", timeout=20).text
    assert 'aftercall_receiver_refused_total{reason="queue",source="unknown"} 32' in metrics
    stall.unlink()
    taken = [number for number, answer in enumerate(answers, 1) if answer.result().status_code == 200]
    assert len(taken) == 8
    assert sorted(landed(home), key=str) == sorted([0, *taken], key=str)
    assert requests.get(f"{url}/readyz", timeout=20).ok


def test_nobody_waits_for_a_disk_that_does_not_answer(start_receiver: Callable[..., Started]) -> None:
    url, home, _ = start_receiver(
        module="tests.receiver.stalled_disk_receiver", receiver_commit_seconds="0.5"
    )
    stall = stall_disk(home)
    assert "send it again" in refused(post(url))
    assert "send it again" in refused(post(url))
    stall.unlink()
    assert post(url).status_code == 200


def test_hundreds_of_slow_and_silent_clients_hold_up_nobody(receiver: tuple[str, Path]) -> None:
    url, _ = receiver
    slow = [connect(url) for _ in range(300)]
    for connection in slow:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    silent = [connect(url) for _ in range(300)]
    for connection in silent:
        connection.sendall(b"POST /webhooks/at")
    for _ in range(50):
        assert post(url).status_code == 200
    assert all(connection.recv(12) == b"HTTP/1.1 408" for connection in slow)
    for connection in slow + silent:
        connection.close()


def test_half_open_and_idle_connections_are_closed(start_receiver: Callable[..., Started]) -> None:
    url, _, _ = start_receiver(module="tests.receiver.short_timeout_receiver")
    half_open = [connect(url) for _ in range(50)]
    for number, connection in enumerate(half_open):
        connection.sendall(HEAD[: 1 + number])
    silent, idle = connect(url), connect(url)
    idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert post(url).status_code == 200
    assert all(rest(connection)[:12] in (b"HTTP/1.1 408", b"") for connection in half_open)
    assert rest(silent) == b""
    assert rest(idle).count(b"HTTP/1.1 200") == 1
    for connection in [*half_open, silent, idle]:
        connection.close()
    assert HEADER_SECONDS <= 30


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_bomb_is_refused_and_never_unpacked(start_receiver: Callable[..., Started]) -> None:
    url, home, process = start_receiver()
    bomb = gzip.compress(bytes(10 << 20)) * 100
    assert len(bomb) < 2 << 20
    assert post(url, b'"' + b"x" * len(bomb) + b'"').status_code == 200
    before = _peak_bytes(process)
    for headers, status in (
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/gzip"}, 415),
        ({"Content-Type": "application/json; charset=gzip"}, 415),
        ({}, 400),
    ):
        answer = requests.post(f"{url}/webhooks/atoms", data=bomb, headers=JSON | headers, timeout=60)
        refused(answer, status)
    assert _peak_bytes(process) - before < 50 << 20
    assert len(landed(home)) == 1


def _peak_bytes(process: subprocess.Popen[bytes]) -> int:
    """The most memory that the worker process ever held."""
    (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(Path(f"/proc/{worker}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def test_large_bodies_share_a_bound_that_small_ones_pass_by(start_receiver: Callable[..., Started]) -> None:
    url, home, _ = start_receiver(receiver_queue_bytes="1500000", receiver_body_seconds="20")
    first, second = connect(url), connect(url)
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
    assert post(url, b'"small"').status_code == 200
    assert landed(home) == ["small"]


def test_a_length_over_the_limit_is_refused_before_the_body_is_read(receiver: tuple[str, Path]) -> None:
    with connect(receiver[0]) as connection:
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
def test_what_lies_is_refused_and_nothing_is_stored(
    receiver: tuple[str, Path], request_: bytes, status: int
) -> None:
    url, home = receiver
    before = len(landed(home))
    assert raw(url, request_)[:12] in (b"HTTP/1.1 %d" % status, b"")
    assert requests.get(f"{url}/healthz", timeout=20).ok
    assert len(landed(home)) == before


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
    before = len(landed(home))
    assert raw(url, HEAD + framing, ends=True).startswith(b"HTTP/1.1 400")
    assert len(landed(home)) == before


def test_a_body_longer_than_declared_is_cut_and_the_connection_closed(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    with connect(url) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}{}{}\r\n\r\n")
        answers = rest(connection)
    assert answers.startswith(b"HTTP/1.1 200")
    assert answers.count(b"HTTP/1.1 ") == answers.count(b"HTTP/1.1 400") + 1 == 2
    assert landed(home)[-1] == {}


def test_chunks_and_a_length_together_are_bounded_like_chunks(receiver: tuple[str, Path]) -> None:
    url, _ = receiver
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    both = b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    assert raw(url, HEAD + both + chunk * 32)[:12] in (b"HTTP/1.1 413", b"")


def test_pipelined_requests_are_all_answered_in_order(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    bodies = [b'"p%d"' % number for number in range(20)]
    pipeline = b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies)
    assert raw(url, pipeline, answers=20).count(b"HTTP/1.1 200") == 20
    assert landed(home)[-20:] == [f"p{number}" for number in range(20)]


def test_a_body_that_is_slow_to_parse_holds_up_nobody(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor
) -> None:
    url, home, _ = start_receiver()
    heavy = b"[" + b'{"a":[]},' * 400_000 + b'"\\ud83d"]'
    answers = [pool.submit(post, url, heavy) for _ in range(4)]
    assert all(post(url, b'["light",%d]' % n).status_code == 200 for n in range(20))
    wait(answers)
    assert [answer.result().status_code for answer in answers] == [200] * 4
    assert sum(payload[:1] == ["light"] for payload in landed(home)) == 20
