import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from receiver.signatures import hmac_sha256_hex
from receiver.sources import SOURCES
from tests.homes import landing_of

Start = Callable[..., tuple[str, Path, subprocess.Popen[bytes]]]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def receiver(start_receiver: Start) -> tuple[str, Path]:
    url, home, _ = start_receiver()
    return url, home


def _post(
    url: str, body: bytes | Iterator[bytes], source: str = "atoms", **headers: str
) -> requests.Response:
    return requests.post(f"{url}/webhooks/{source}", data=body, headers=JSON | headers, timeout=60)


def _problem(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == status
    return str(content["detail"])


def _landed(home: Path) -> list[bytes]:
    store = landing_of(home)
    return [
        line
        for segment in store.segments()
        for line in store.read(segment.path, 0, 1 << 30).data.splitlines()
    ]


def _last(home: Path) -> dict[str, object]:
    return dict(json.loads(_landed(home)[-1]))


def _raw(url: str, request: bytes) -> bytes:
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def test_accepted_is_on_disk_and_a_duplicate_too(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    before = len(_landed(home))
    body = '{"event": "call.start",\n "call_id": "c1", "caller_phone": "+1", "name": "निशा"}'.encode()
    first, second = _post(url, body), _post(url, body)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert first.json()["status"] == "accepted"
    landed = _landed(home)[before:]
    assert len(landed) == 2
    assert landed[0].endswith(b'"payload":' + body.replace(b"\n", b" ") + b"}")
    assert json.loads(landed[0])["event_id"] == first.json()["event_id"]


@pytest.mark.parametrize(
    "body", [b"[1]", b'"text"', b"null", b"{}", b'{"event": "new.thing"}', b"\xef\xbb\xbf{}"]
)
def test_strange_json_is_stored(receiver: tuple[str, Path], body: bytes) -> None:
    url, home = receiver
    assert _post(url, body).status_code == 200
    assert _last(home)["payload"] == json.loads(body.decode("utf-8-sig"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "empty"), (b"{", "not JSON"), (b'{"a": NaN}', "NaN"), (b'{"a": "\xff"}', "UTF-8"),
     (b"[" * 5000 + b"]" * 5000, "limit of 500"), (b"a=b", "not JSON")],
)  # fmt: skip
def test_what_is_not_json_is_refused(receiver: tuple[str, Path], body: bytes, reason: str) -> None:
    url, home = receiver
    before = len(_landed(home))
    assert reason in _problem(_post(url, body), 400)
    assert len(_landed(home)) == before


def test_awkward_but_valid_bodies(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    assert _post(url, b'{"call_id": "s", "transcript": [{"content": "cut \\ud83d"}]}').status_code == 200
    assert b'"cut \\ud83d"' in _landed(home)[-1]
    assert _post(url, b'{"call_id": "a", "call_id": "b"}').status_code == 200
    assert _last(home)["call_id"] == "b"
    assert b'{"call_id": "a", "call_id": "b"}' in _landed(home)[-1]
    assert _post(url, b'{"call_id": "%s"}' % (b"x" * 100_000)).status_code == 200
    assert str(_last(home)["call_id"]).startswith("sha256:")
    transcript = json.dumps({"call_id": "long", "transcript": [{"content": "नमस्ते " * 20}] * 5600}).encode()
    assert 4 << 20 < len(transcript) < 5 << 20
    assert _post(url, transcript).status_code == 200
    assert _last(home)["payload"] == json.loads(transcript)


def test_too_large_is_refused_before_it_is_read(receiver: tuple[str, Path]) -> None:
    url, _ = receiver
    head = b"POST /webhooks/atoms HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = _raw(url, head + b"Content-Length: 9999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in answer


def test_chunked_bodies_are_bounded_and_accepted(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    assert _post(url, iter([b'{"call_id":', b'"chunked"}'])).status_code == 200
    assert _last(home)["call_id"] == "chunked"
    try:
        answer = _post(url, iter([b"{}", *[b" " * (1 << 20)] * 12]))
    except requests.ConnectionError:  # the server may hang up on a sender that goes on
        return
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"},
     {"Content-Type": "application/json; charset=utf-16"}, {"Content-Encoding": "gzip"}],
)  # fmt: skip
def test_wrong_type(receiver: tuple[str, Path], headers: dict[str, str]) -> None:
    assert "send" in _problem(_post(receiver[0], b"{}", **headers), 415)


@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "application/webhook+json"])
def test_json_types(receiver: tuple[str, Path], kind: str) -> None:
    assert _post(receiver[0], b"{}", **{"Content-Type": kind}).status_code == 200


def test_nothing_else_is_on_the_port(receiver: tuple[str, Path]) -> None:
    url, _ = receiver
    assert f"known are {', '.join(sorted(SOURCES))}" in _problem(_post(url, b"{}", source="nobody"), 404)
    for path in ("/", "/webhooks/", "/webhooks/atoms/", "/static/x", "/admin"):
        _problem(requests.get(url + path, timeout=20), 404)
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = requests.request(method, f"{url}/webhooks/atoms", timeout=20)
        _problem(answer, 405)
        assert answer.headers["Allow"] == "POST"


def test_generic_takes_its_id_from_the_header(receiver: tuple[str, Path]) -> None:
    url, _ = receiver
    answer = _post(
        url, b'{"type": "call.end", "data": {"call_id": "g"}}', source="generic", **{"webhook-id": "m1"}
    )
    assert answer.json() == {"status": "accepted", "event_id": "m1"}


def test_health_and_metrics(receiver: tuple[str, Path]) -> None:
    url, _ = receiver
    assert requests.get(f"{url}/healthz", timeout=20).json() == {"status": "ok"}
    assert requests.get(f"{url}/readyz", timeout=20).json() == {"status": "ready"}
    _post(url, b'{"event": "made up name"}')
    text = requests.get(f"{url}/metrics", timeout=20).text
    assert 'aftercall_receiver_requests_total{source="atoms",status="200"}' in text
    assert 'aftercall_receiver_events_total{event_type="other",source="atoms"}' in text
    assert "made up" not in text


def test_signature_decides_and_the_log_knows_no_person(start_receiver: Start) -> None:
    url, home, _ = start_receiver(secret_atoms="new,old")
    body = b'{"event": "call.start", "call_id": "c1", "caller_phone": "+15550001111", "name": "Rahul Sharma"}'
    for secret in ("new", "old"):
        assert _post(url, body, **{"X-Signature": hmac_sha256_hex(secret, body)}).status_code == 200
    signed = {"X-Atoms-Signature": "sha256=" + hmac_sha256_hex("old", body)}
    assert _post(url, body, **signed).status_code == 200
    for wrong in ({}, {"X-Signature": "é"}, {"X-Signature": hmac_sha256_hex("other", body)}):
        assert "not signed" in _problem(_post(url, body, **wrong), 401)
    assert "not signed" in _problem(_post(url, body + b" ", **signed), 401)
    assert len(_landed(home)) == 3
    deadline = time.monotonic() + 20  # lines about requests are gathered for a moment
    while (log := (home / "log").read_text()).count('"status":401') < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.count('"status":401') == 4
    assert "1111" not in log
    assert "Rahul" not in log


def test_unsigned_source_beyond_loopback(start_receiver: Start) -> None:
    url, home, _ = start_receiver(host="0.0.0.0")
    assert "AFTERCALL" not in _problem(_post(url, b"{}"), 401)
    assert "AFTERCALL_SECRET_ATOMS" in (home / "log").read_text()
    assert _landed(home) == []
    url, home, _ = start_receiver(host="0.0.0.0", receiver_allow_unsigned="1")
    assert _post(url, b"{}").status_code == 200
    assert "ANYONE" in (home / "log").read_text()


def test_many_clients_at_once_lose_nothing(start_receiver: Start) -> None:
    url, home, _ = start_receiver(landing_segment_bytes="20000")

    def send(client: int) -> list[int]:
        with requests.Session() as session:
            return [
                session.post(
                    f"{url}/webhooks/atoms",
                    data=b'{"call_id":"%d-%d"}' % (client, n),
                    headers=JSON,
                    timeout=60,
                ).status_code
                for n in range(50)
            ]

    with ThreadPoolExecutor(16) as pool:
        statuses = [status for answers in pool.map(send, range(16)) for status in answers]
    assert statuses == [200] * 800
    assert len({json.loads(line)["call_id"] for line in _landed(home)}) == 800


def test_landing_unavailable_is_503_until_it_is_back(start_receiver: Start) -> None:
    url, home, _ = start_receiver()
    (home / "landing").write_text("in the way")
    answer = _post(url, b'{"call_id": "later"}')
    _problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    _problem(requests.get(f"{url}/readyz", timeout=20), 503)
    assert requests.get(f"{url}/healthz", timeout=20).ok
    (home / "landing").unlink()
    assert _post(url, b'{"call_id": "later"}').status_code == 200
    assert _last(home)["call_id"] == "later"


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _refuses(url: str) -> bool:
    try:
        requests.get(f"{url}/healthz", timeout=5)
    except requests.ConnectionError:
        return True
    return False


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_stops_whole(start_receiver: Start, stop: signal.Signals) -> None:
    url, _, process = start_receiver()
    idle = requests.Session()
    assert idle.get(f"{url}/healthz", timeout=20).ok
    process.send_signal(stop)
    process.wait(timeout=15)
    deadline = time.monotonic() + 15
    while not _refuses(url) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _refuses(url)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_killed_worker_is_replaced(start_receiver: Start) -> None:
    url, home, process = start_receiver()
    assert _post(url, b'{"call_id": "before"}').status_code == 200
    for child in _children(process.pid):
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 30
    status = 0
    while status != 200 and time.monotonic() < deadline:
        try:
            status = _post(url, b'{"call_id": "after"}').status_code
        except requests.ConnectionError:
            time.sleep(0.1)
    assert status == 200
    assert {json.loads(line)["call_id"] for line in _landed(home)} == {"before", "after"}


def test_second_receiver_on_the_same_address_says_so(start_receiver: Start) -> None:
    url, home, _ = start_receiver()
    env = os.environ | {"AFTERCALL_HOME": str(home), "AFTERCALL_RECEIVER_BIND": url.removeprefix("http://")}
    second = subprocess.run(
        [sys.executable, "-m", "receiver"], env=env, capture_output=True, text=True,
        timeout=60, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert second.returncode == 1
    assert "AFTERCALL_RECEIVER_BIND" in second.stderr
