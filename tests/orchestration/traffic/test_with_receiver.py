"""A whole simulated morning, signed, through the real receiver into a real landing store."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from orchestration.traffic import Delivery, post_all, simulate
from receiver.landing import open_landing


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "AFTERCALL_HOME": str(tmp_path / "home"),
        "AFTERCALL_RECEIVER_BIND": bind,
        "AFTERCALL_SECRET_ATOMS": "the-old-one,the-new-one",
        "AFTERCALL_SECRET_GENERIC": "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb2Yga2V5",
    }
    process = subprocess.Popen([sys.executable, "-m", "receiver"], env=os.environ | settings, cwd=Path.cwd())
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if requests.get(f"http://{bind}/readyz", timeout=2).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield f"http://{bind}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def landed(home: Path) -> list[dict[str, object]]:
    store = open_landing(home)
    lines = [
        json.loads(line)
        for segment in store.segments()
        for line in store.read(segment.path, max_bytes=1 << 30).data.splitlines()
    ]
    store.close()
    return lines


def test_every_delivery_of_a_morning_lands(receiver: str, tmp_path: Path) -> None:
    made = list(simulate(200, 42, datetime.now(UTC)))
    report = post_all(made, receiver, secret="the-new-one")
    assert (report.accepted, report.problems) == (len(made), ())
    lines = landed(tmp_path / "home")
    assert sorted(json.dumps(line["payload"]) for line in lines) == sorted(
        json.dumps(json.loads(delivery.body)) for delivery in made
    )
    assert {line["event_type"] for line in lines} == {"call.start", "call.end", "analytics.completed"}
    assert all(line["call_id"] for line in lines)
    assert len({line["event_id"] for line in lines}) == len({delivery.body for delivery in made})


def test_a_wrong_secret_is_refused(receiver: str, tmp_path: Path) -> None:
    report = post_all(simulate(5, 42, datetime.now(UTC)), receiver, secret="another")
    assert report.refused == report.sent > 0
    assert landed(tmp_path / "home") == []


def test_the_generic_signature_is_taken(receiver: str) -> None:
    body = b'{"type":"call.start","timestamp":"2026-11-23T08:00:00Z","data":{"call_id":"7"}}'
    secret = "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb2Yga2V5"
    report = post_all([Delivery("generic", body, datetime.now(UTC))], receiver, 1, secret=secret)
    assert (report.accepted, report.problems) == (1, ())
