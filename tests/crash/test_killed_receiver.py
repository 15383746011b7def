"""The receiver killed fifty times under load: what it acknowledged is in the landing store exactly as it was sent."""

import hashlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from tests.homes import landing_of

SEED = 20261123
ROUNDS = 50
CLIENTS = 8
VICTIMS = ("a worker", "the parent", "both")
SEGMENT_BYTES = 200_000
# how often a filler of so many bytes (twice as many in hex); the largest takes a write of many pages
FILLER_BYTES = {0: 30, 100: 30, 1_000: 30, 10_000: 8, 150_000: 2}


@dataclass
class Traffic:
    """What the clients sent, as the landing store has to hold it, and what was acknowledged."""

    port: int
    round: str = "before the first round"
    sent: dict[str, tuple[str, str]] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    unanswered: int = 0
    other_answers: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        """Post one event after another on one connection until the test is over; send none again."""
        dice = random.Random(SEED + number)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Content-Type": "application/json"}
        count = 0
        while not self.over.is_set():
            count += 1
            call_id = f"{number}-{count}"
            body = _body(call_id, dice)
            self.sent[call_id] = (_digest(_as_kept(body)), self.round)
            try:
                connection.request("POST", "/webhooks/atoms", body, headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
                connection.close()
                self.over.wait(0.005)
                continue
            if answer.status == 200:
                self.acknowledged[call_id] = json.loads(content)["event_id"]
            elif answer.status == 503 and b"the receiver is stopping" in content:
                self.refused.add(call_id)  # by a worker that ends because its parent is gone
            else:
                self.other_answers.append(f"{self.round}: {answer.status} {content[:200]!r}")

    @contextmanager
    def running(self) -> Iterator["Traffic"]:
        threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.over.set()
            for thread in threads:
                thread.join()


@pytest.mark.slow
def test_what_was_acknowledged_is_kept_exactly(installation: Any) -> None:
    dice = random.Random(SEED)
    installation = replace(installation, port=_port_for_servers())
    with Traffic(installation.port).running() as traffic:
        for number in range(1, ROUNDS + 1):
            workers, victim = dice.choice((1, 1, 2)), VICTIMS[number % len(VICTIMS)]
            before, after = dice.uniform(0.05, 0.3), dice.uniform(0, 0.1)
            traffic.round = (
                f"round {number} ({victim} of {workers} workers killed after {before * 1000:.0f} ms)"
            )
            receiver = _start(installation, workers, traffic.round)
            time.sleep(before)
            _kill(receiver, victim, dice)
            time.sleep(after)  # whoever is left goes on, and is believed too
            _kill_group(receiver)
        traffic.round = "after the last round"
        receiver = _start(installation, 1, traffic.round)
        time.sleep(0.2)
    receiver.terminate()
    assert receiver.wait(20) == 0

    lines, torn = _lines(installation.home)
    problems = [
        f"{call_id} of {traffic.sent[call_id][1]} was acknowledged and is not in the landing store"
        for call_id in traffic.acknowledged.keys() - lines.keys()
    ]
    for call_id, (event_id, payload, where) in lines.items():
        digest, sent_in = traffic.sent.get(call_id, ("", "no round"))
        if _digest(payload) != digest:
            problems.append(f"{where}: not what was sent as {call_id} in {sent_in}: {payload[:100]!r}")
        if traffic.acknowledged.get(call_id, event_id) != event_id:
            problems.append(f"{where}: {call_id} of {sent_in} was acknowledged under another id")
    assert not problems, "\n".join([f"seed {SEED}: {len(problems)} problems", *sorted(problems)[:20]])
    assert traffic.other_answers == []
    assert traffic.refused & lines.keys() == set()

    # the kills must have had something to tear, and the segments must have rolled under them
    assert len(traffic.acknowledged) > 20 * ROUNDS
    assert traffic.unanswered > ROUNDS
    assert len(list(landing_of(installation.home).segments())) > 2 * ROUNDS

    report = pipeline.load_events(OrchestrationSettings(home=installation.home))
    assert report.rows == {"call_events": len(lines), "rejected_lines": 0}
    print(f"{len(traffic.acknowledged)} acknowledged, {len(lines)} kept, {torn} torn tails")


def _port_for_servers() -> int:
    """A free port that the system gives to no client.

    A client that calls a port where nobody listens may be given that very port, reach itself, and so hold it.
    """
    for port in range(20_000, 30_000):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    pytest.fail("no free port")


def _body(call_id: str, dice: random.Random) -> bytes:
    """A unique event, with what is easily damaged: line breaks between tokens, Unicode, escapes, odd numbers."""
    filler = dice.randbytes(*dice.choices([*FILLER_BYTES], [*FILLER_BYTES.values()])).hex()
    return (
        f'{{"event": "call.end",\r\n "call_id": "{call_id}", "duration_seconds": 1.50e1,\n\t'
        f'"transcript": [{{"content": "नमस्ते \\ud83d\\n \\u0000 😀 {filler}"}}], "big": 12345678901234567890123}}'
    ).encode()


def _as_kept(body: bytes) -> bytes:
    """The one change that docs/receiver.md names: line breaks between tokens become spaces."""
    return body.replace(b"\r", b" ").replace(b"\n", b" ")


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def _start(installation: Any, workers: int, what: str) -> subprocess.Popen[bytes]:
    """A receiver that is ready, by the command alone that every start uses."""
    path = installation.home.with_suffix(".log")
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "receiver"],
            cwd=Path(__file__).parents[2],
            env=installation.environment(
                AFTERCALL_RECEIVER_WORKERS=str(workers), AFTERCALL_LANDING_SEGMENT_BYTES=str(SEGMENT_BYTES)
            ),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 30
    while not _is_ready(installation.url):
        assert process.poll() is None, f"{what}: it did not start: {path.read_text()[-2_000:]}"
        assert time.monotonic() < deadline, f"{what}: not ready after 30 s: {path.read_text()[-2_000:]}"
        time.sleep(0.01)
    return process


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def _kill(receiver: subprocess.Popen[bytes], victim: str, dice: random.Random) -> None:
    children = _children(receiver.pid)
    if victim != "the parent":
        os.kill(dice.choice(children), signal.SIGKILL)
    if victim != "a worker":
        receiver.kill()


def _kill_group(receiver: subprocess.Popen[bytes]) -> None:
    """End what a round left running, and wait until the port is free."""
    deadline = time.monotonic() + 10
    with suppress(ProcessLookupError):
        os.killpg(receiver.pid, signal.SIGKILL)
    receiver.wait(10)
    while _group(receiver.pid):
        assert time.monotonic() < deadline, "a killed process lives on"
        time.sleep(0.002)


def _children(pid: int) -> list[int]:
    """Its worker processes; a helper of multiprocessing is none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"resource_tracker" not in _proc(int(child), "cmdline")]


def _group(group: int) -> list[int]:
    """The processes of a group that are alive."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        status = _proc(int(folder.name), "stat").rpartition(b")")[2].split()
        if status and int(status[2]) == group and status[0] not in {b"Z", b"X"}:
            found.append(int(folder.name))
    return found


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _lines(home: Path) -> tuple[dict[str, tuple[str, bytes, str]], int]:
    """Every line of the store by its call: event id, payload and place; and how many segments end torn."""
    store = landing_of(home)
    found: dict[str, tuple[str, bytes, str]] = {}
    torn = 0
    for segment in store.segments():
        offset = 0
        while (chunk := store.read(segment.path, offset)).data:
            for line in chunk.data.splitlines(keepends=True):
                where = f"{segment.path} at byte {offset}"
                offset += len(line)
                head, separator, payload = line.partition(b',"payload":')
                try:
                    envelope = json.loads(head + b"}")
                    json.loads(line)
                except ValueError:
                    pytest.fail(f"seed {SEED}: {where}: no line of the store: {line[:200]!r}")
                assert separator, where
                assert envelope["call_id"] not in found, f"{where}: a second line of {envelope['call_id']}"
                found[envelope["call_id"]] = (envelope["event_id"], payload.removesuffix(b"}\n"), where)
        torn += offset < segment.size
    return found, torn
