"""A receiver that is asked to stop, or to change its workers: what it took is answered, and nothing new is taken."""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.receiver.raw_client import (
    HEAD,
    Started,
    connect,
    landed,
    post,
    refused,
    rest,
    stall_disk,
    wait_until,
)


@pytest.mark.parametrize("to", ["parent", "worker"])
def test_stop_answers_what_was_taken_and_takes_nothing_new(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor, to: str
) -> None:
    url, home, process = start_receiver(
        module="tests.receiver.stalled_disk_receiver", receiver_grace_seconds="20"
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if to == "worker" and not children.exists():
        pytest.skip("needs /proc")
    stall = stall_disk(home)
    taken = [pool.submit(post, url, b"%d" % number) for number in range(5)]
    wait_until(lambda: _queued(url) == 5)
    reading = connect(url)
    reading.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert reading.recv(65536).startswith(b"HTTP/1.1 100")
    for pid in [process.pid] if to == "parent" else map(int, children.read_text().split()):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: "stopping" in refused(requests.get(f"{url}/readyz", timeout=20)))
    assert "stopping" in refused(post(url, b"99"))
    assert requests.get(f"{url}/healthz", timeout=20).ok
    reading.sendall(b"10")
    stall.unlink()
    assert [answer.result().status_code for answer in taken] == [200] * 5
    assert rest(reading).startswith(b"HTTP/1.1 200")
    if to == "parent":
        process.wait(timeout=20)
    else:
        wait_until(lambda: _takes(url))
    assert set(landed(home)) - {99} == {0, 1, 2, 3, 4, 10}


def test_stop_waits_no_longer_than_the_grace_for_a_disk_and_a_body_that_never_come(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor
) -> None:
    patient = {"receiver_commit_seconds": "600", "receiver_body_seconds": "600"}
    url, home, process = start_receiver(
        module="tests.receiver.stalled_disk_receiver", receiver_grace_seconds="1", **patient
    )
    stall_disk(home)
    waiting = pool.submit(post, url, b"1")
    wait_until(lambda: _queued(url) == 1)
    reading = connect(url)
    reading.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert reading.recv(65536).startswith(b"HTTP/1.1 100")
    process.terminate()
    process.wait(timeout=60)
    assert isinstance(waiting.exception(timeout=20), requests.ConnectionError)
    with pytest.raises(ConnectionError):
        connect(url)
    log = [json.loads(line)["message"] for line in (home / "log").read_text().splitlines()]
    assert "stopping: 2 requests in hand" in log


def _queued(url: str) -> int:
    text = requests.get(f"{url}/metrics", timeout=20).text
    return int(float(text.rpartition("\naftercall_receiver_queue_requests ")[2].partition("\n")[0]))


def _takes(url: str) -> bool:
    try:
        return post(url, b"99").status_code == 200
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
                answer = post(url, json.dumps(call).encode())
            except requests.ConnectionError:
                continue
            assert answer.status_code == 200 or refused(answer)
            if answer.ok:
                acknowledged.append(call)
        return acknowledged

    clients = [pool.submit(send, client) for client in range(4)]
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: not before & set(children.read_text().split()))
    stop.set_result(None)
    acknowledged = {call for client in clients for call in client.result()}
    assert len(acknowledged) > 100
    assert acknowledged <= {str(call) for call in landed(home)}
