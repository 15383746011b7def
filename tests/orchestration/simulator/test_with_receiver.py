"""A whole simulated morning, signed, through the real receiver into a real landing store."""

import base64
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
from click.testing import CliRunner

from orchestration.cli import main
from orchestration.simulator import post_all, simulate
from receiver.sources import SOURCES
from tests.homes import landing_of

SECRETS = {f"AFTERCALL_SECRET_{name.upper()}": f"secret of {name}" for name in SOURCES} | {
    "AFTERCALL_SECRET_ATOMS": "the-new-one,the-old-one",
    "AFTERCALL_SECRET_GENERIC": "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb2Yga2V5",
    "AFTERCALL_SECRET_TELNYX": base64.b64encode(bytes(range(32))).decode(),
}
UNSIGNED = {"telnyx", "twilio"}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "AFTERCALL_HOME": str(tmp_path / "home"),
        "AFTERCALL_RECEIVER_BIND": bind,
        "AFTERCALL_RECEIVER_PUBLIC_URL": "https://hooks.example.com",
        **SECRETS,
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
    store = landing_of(home)
    lines = [
        json.loads(line)
        for segment in store.segments()
        for line in store.read(segment.path, max_bytes=1 << 30).data.splitlines()
    ]
    store.close()
    return lines


def test_every_delivery_of_a_morning_lands(receiver: str, tmp_path: Path) -> None:
    made = list(simulate(200, 42, datetime.now(UTC)))
    report = post_all(made, receiver, secrets={"atoms": "the-new-one"})
    assert (report.accepted, report.problems) == (len(made), ())
    lines = landed(tmp_path / "home")
    assert sorted(json.dumps(line["payload"]) for line in lines) == sorted(
        json.dumps(json.loads(delivery.body)) for delivery in made
    )
    assert {line["event_type"] for line in lines} == {"call.start", "call.end", "analytics.completed"}
    assert all(line["call_id"] for line in lines)
    assert len({line["event_id"] for line in lines}) == len({delivery.body for delivery in made})


def test_a_wrong_secret_is_refused(receiver: str, tmp_path: Path) -> None:
    report = post_all(simulate(5, 42, datetime.now(UTC)), receiver, secrets={"atoms": "another"})
    assert report.refused == report.sent > 0
    assert landed(tmp_path / "home") == []


def test_a_recording_is_signed_source_by_source_with_the_secrets_of_the_env_file(
    receiver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{name}='{secret}'" for name, secret in SECRETS.items()]
    (tmp_path / ".env").write_text("\n".join([*lines, f"AFTERCALL_RECEIVER_BIND={receiver[7:]}"]))
    body = '{"type":"call.start","call_id":"7","data":{"call_id":"7","name":"Ünal"}}'
    recorded = [
        f'{{"source": "{source}", "sent_at": "2026-11-23T08:00:00Z", "body": {body}}}' for source in SOURCES
    ]
    recording = tmp_path / "calls.ndjson"
    recording.write_text("\n".join(recorded), encoding="utf-8")

    result = CliRunner().invoke(main, ["replay", str(recording)])

    assert {line["source"] for line in landed(tmp_path / "home")} == set(SOURCES) - UNSIGNED
    assert result.exit_code == 1
    told = [line.split(":")[0] for line in result.output.splitlines() if "unsigned" in line]
    assert told == sorted(UNSIGNED)
    assert result.output.count(" 401 ") == len(UNSIGNED)
