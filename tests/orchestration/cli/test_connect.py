"""`aftercall connect` against a real receiver: what it prints, what it sends, what each failure says."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from orchestration.cli import main
from receiver.envelope import line, seal
from receiver.sources import SOURCES
from tests.homes import landing_of

ROOT = Path(__file__).parents[3]
COMMAND = "from orchestration.cli import main; main()"
SECRETS = {
    name: "whsec_" + base64.b64encode(b"k" * 32).decode() if name == "generic" else f"secret of {name}"
    for name in SOURCES
} | {"telnyx": base64.b64encode(bytes(range(32))).decode()}
SETTINGS = {f"AFTERCALL_SECRET_{name.upper()}": secret for name, secret in SECRETS.items()}


@dataclass(frozen=True)
class Installation:
    """A state directory, and the settings that the receiver and the command share."""

    home: Path
    url: str

    def environment(self, **more: str) -> dict[str, str]:
        own = {
            "AFTERCALL_HOME": str(self.home),
            "AFTERCALL_RECEIVER_BIND": self.url.removeprefix("http://"),
            "AFTERCALL_RECEIVER_PUBLIC_URL": self.url,
            "COLUMNS": "200",
        }
        return SETTINGS | own | more

    def start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AFTERCALL_")}
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            env=clean | self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A receiver that knows a secret for every source, and its public address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    made = Installation(tmp_path_factory.mktemp("connect"), url)
    process = made.start("from receiver.serve import serve; serve()")
    until(lambda: answers(made.url), process)
    yield made
    process.terminate()
    process.communicate(timeout=20)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


def until(holds: Callable[[], bool], process: "subprocess.Popen[bytes] | None" = None) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert process is None or process.poll() is None, process and process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def connect(of: Installation, *arguments: str, **more: str) -> tuple[int, str]:
    """The command in this process, which spares its imports."""
    result = CliRunner().invoke(main, ["connect", *arguments], env=of.environment(**more))
    return result.exit_code, result.output


def landed(of: Installation) -> list[dict[str, Any]]:
    store = landing_of(of.home)
    return [
        json.loads(entry)
        for segment in store.segments()
        for entry in store.read(segment.path, 0, 1 << 30).data.splitlines()
    ]


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"telnyx"}))
def test_a_signed_trial_is_kept_and_is_no_call(running: Installation, name: str) -> None:
    before = len(landed(running))
    code, output = connect(running, name, "--wait", "0")
    assert code == 0, output
    assert f"{running.url}/webhooks/{name}" in output
    assert "a signed trial came through" in output
    assert SECRETS[name] not in output
    trial = landed(running)[before]
    assert (trial["source"], trial["event_type"], trial["call_id"]) == (name, "aftercall.connect", None)
    assert trial["event_id"].startswith("connect-")


def test_nobody_else_can_sign_for_telnyx(running: Installation) -> None:
    before = len(landed(running))
    code, output = connect(running, "telnyx", "--wait", "0")
    assert code == 0, output
    assert "refuses what is not signed" in output
    assert len(landed(running)) == before


def test_every_step_names_the_address_or_a_place(running: Installation) -> None:
    _, output = connect(running, "ultravox", "--wait", "0")
    steps = re.findall(r"^\d\. (.+)$", output, re.MULTILINE)
    assert len(steps) == len(SOURCES["ultravox"].setup.steps)
    assert "{url}" not in output
    assert "AFTERCALL_SECRET_ULTRAVOX" in output


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("atoms",), {"AFTERCALL_SECRET_ATOMS": ""}, "AFTERCALL_SECRET_ATOMS is not set"),
        (("atoms",), {"AFTERCALL_SECRET_ATOMS": "another"}, "runs with another secret"),
        (("generic",), {"AFTERCALL_SECRET_GENERIC": "é"}, "not of the platform's form"),
        (
            ("atoms", "--url", "http://127.0.0.1:9"),
            {},
            "nothing answers at http://127.0.0.1:9/webhooks/atoms",
        ),
        (("atoms", "--url", "http://no.such.name.invalid"), {}, "nothing answers"),
        (("twilio", "--url", "http://127.0.0.1:9"), {}, "AFTERCALL_RECEIVER_PUBLIC_URL=http://127.0.0.1:9"),
        (("atoms",), {"AFTERCALL_HOME": "elsewhere"}, "run this where that receiver runs"),
        (("no-such",), {}, "is not one of"),
    ],
)
def test_each_failure_names_the_fix(
    running: Installation,
    tmp_path: Path,
    arguments: tuple[str, ...],
    settings: dict[str, str],
    said: str,
) -> None:
    if "AFTERCALL_HOME" in settings:
        settings = {"AFTERCALL_HOME": str(tmp_path)}
    code, output = connect(running, *arguments, "--wait", "0", **settings)
    assert code != 0
    assert said in " ".join(output.split())
    assert "Traceback" not in output


class Front(BaseHTTPRequestHandler):
    """What stands in front of a receiver and does not hand on."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def front() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((301, {"Location": "https://www.example.com/"}, b""), "redirects to https://www.example.com/"),
        ((200, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>"), "something other than the receiver"),
        ((200, {}, b'{"status":"accepted","event_id":"other"}'), "something other than the receiver"),
        ((401, {"WWW-Authenticate": "Basic"}, b"login"), "that is no answer of the receiver"),
        ((502, {}, b"bad gateway"), "that is no answer of the receiver"),
    ],
)
def test_what_stands_in_front_is_told(
    running: Installation, front: ThreadingHTTPServer, answer: tuple[int, dict[str, str], bytes], said: str
) -> None:
    front.answer = answer  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{front.server_port}"
    code, output = connect(running, "atoms", "--url", url, "--wait", "0")
    assert code == 1, output
    assert said in " ".join(output.split())


def waiting(of: Installation, seconds: str) -> "subprocess.Popen[bytes]":
    """The command at the point where it waits for the first event."""
    before = len(landed(of))
    process = of.start(COMMAND, "connect", "ultravox", "--wait", seconds)
    until(lambda: len(landed(of)) > before, process)
    return process


def send(of: Installation, body: bytes, secret: str) -> int:
    headers = SOURCES["ultravox"].sign(body, secret, time.time()) | {"Content-Type": "application/json"}
    return requests.post(f"{of.url}/webhooks/ultravox", data=body, headers=headers, timeout=30).status_code


def recover(of: Installation, body: bytes) -> None:
    """Land an event that no webhook told, as a recovery does."""
    facts = replace(
        SOURCES["ultravox"].facts(json.loads(body), {}), event_id="recovered:ultravox:call.start:c-0"
    )
    store = landing_of(of.home)
    store.append([line(seal("ultravox", facts, body, datetime.now(UTC)), body)])
    store.close()


def test_it_waits_for_the_first_event_and_tells_of_refusals(running: Installation) -> None:
    process = waiting(running, "100")
    body = b'{"event": "call.ended", "call": {"callId": "c-1\\u001b[2J"}}'
    refused = threading.Event()

    def keep_sending_with_another_secret() -> None:
        while not refused.wait(0.3):
            send(running, body, "another")

    sender = threading.Thread(target=keep_sending_with_another_secret)
    sender.start()
    output = b""
    try:
        assert process.stdout is not None
        while b"refused" not in output:
            piece = process.stdout.readline()
            assert piece, output
            output += piece
    finally:
        refused.set()
        sender.join()
    recover(running, b'{"event": "call.started", "call": {"callId": "c-0"}}')
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    assert send(running, body, SECRETS["ultravox"]) == 200
    output += process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert b"wrong" in output
    assert b"first event: call.end of call sha256:" in output


def test_ctrl_c_ends_the_waiting_cleanly(running: Installation) -> None:
    process = waiting(running, "100")
    time.sleep(0.5)  # from the trial's landing to the waiting is a moment
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0].decode()
    assert process.returncode in {1, 130}, output
    assert "Traceback" not in output


def test_the_wait_has_an_end(running: Installation) -> None:
    code, output = connect(running, "ultravox", "--wait", "0.5")
    assert code == 1
    assert "no event of Ultravox came within 0.5 s" in output
