"""Posting to a real HTTP server on loopback: order, signatures, tries, and the report."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import pytest

from orchestration.simulator import Delivery, PostReport, post_all, simulate

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
SEED = b'{"event":"call.start","call_id":"call_1"}'
WIRE = b'{"event":"a.pre-conversation","metadata":{"callId":"CALL-1"},"id":"1"}'


class Listener(ThreadingHTTPServer):
    """Keeps every request; answers with what `answer` says for its place in the order of arrival."""

    daemon_threads = True

    def __init__(self, answer: Callable[[int], tuple[int, dict[str, str]]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.lock = threading.Lock()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections: set[tuple[str, int]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append((self.path, headers, body))
            self.server.connections.add(self.client_address)
        status, extra = self.server.answer(number)
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    running: list[tuple[Listener, threading.Thread]] = []

    def start(answer: Callable[[int], tuple[int, dict[str, str]]] = lambda _: (200, {})) -> Listener:
        listener = Listener(answer)
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        running.append((listener, thread))
        return listener

    yield start
    for listener, thread in running:
        listener.shutdown()
        thread.join()
        listener.server_close()


def deliveries(count: int, source: str = "atoms") -> list[Delivery]:
    return [Delivery(source, b'{"n":%d}' % n, NOW + timedelta(seconds=n)) for n in range(count)]


def test_one_client_keeps_the_order_on_one_connection(listen: Callable[..., Listener]) -> None:
    server = listen()
    report = post_all(deliveries(50), server.url, clients=1)
    assert server.bodies == [delivery.body for delivery in deliveries(50)]
    assert len(server.connections) == 1
    assert (report.sent, report.accepted, report.refused, report.errors) == (50, 50, 0, 0)
    assert 0 < report.p50_ms <= report.p99_ms
    assert server.requests[0][0] == "/webhooks/atoms"
    assert server.requests[0][1]["content-type"] == "application/json"


def test_many_clients_post_everything_once_over_few_connections(listen: Callable[..., Listener]) -> None:
    server = listen()
    done: list[int] = []
    report = post_all(iter(deliveries(400)), server.url, clients=16, progress=done.append)
    assert sorted(server.bodies) == sorted(delivery.body for delivery in deliveries(400))
    assert len(server.connections) <= 16
    assert done == list(range(1, 401))
    assert report.accepted == 400


def test_an_address_that_names_the_route_is_taken_as_it_is(listen: Callable[..., Listener]) -> None:
    server = listen()
    post_all(deliveries(1), server.url + "/behind/webhooks/other/", clients=1)
    assert server.requests[0][0] == "/behind/webhooks/other"


def test_each_dialect_is_signed_under_its_own_header(listen: Callable[..., Listener]) -> None:
    server = listen()
    post_all([Delivery("atoms", SEED, NOW), Delivery("atoms", WIRE, NOW)], server.url, 1, {"atoms": "new"})
    (_, seed, _), (_, wire, _) = server.requests
    assert seed["x-atoms-signature"] == "sha256=" + hmac.new(b"new", SEED, hashlib.sha256).hexdigest()
    assert wire["x-signature"] == hmac.new(b"new", WIRE, hashlib.sha256).hexdigest()
    assert "x-signature" not in seed
    assert "x-atoms-signature" not in wire


def test_nothing_is_signed_without_a_secret(listen: Callable[..., Listener]) -> None:
    server = listen()
    post_all([Delivery("atoms", SEED, NOW), Delivery("atoms", b"not json", NOW)], server.url, 1)
    assert not [name for _, headers, _ in server.requests for name in headers if "signature" in name]


def test_a_generic_delivery_is_signed_as_a_standard_webhook(listen: Callable[..., Listener]) -> None:
    server = listen()
    key = b"twenty-four bytes of key"
    body = '{"type":"call.start","data":{"name":"Ünal"}}'.encode()
    secret = "whsec_" + base64.b64encode(key).decode()
    post_all([Delivery("generic", body, NOW)] * 2, server.url, 1, {"generic": secret})
    (_, first, _), (_, second, _) = server.requests
    assert first["webhook-id"] == second["webhook-id"]
    assert abs(int(first["webhook-timestamp"]) - time.time()) < 60
    signed = f"{first['webhook-id']}.{first['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert first["webhook-signature"] == f"v1,{digest}"


def test_a_busy_receiver_is_tried_again(listen: Callable[..., Listener]) -> None:
    server = listen(lambda number: (503, {"Retry-After": "0"}) if number < 3 else (200, {}))
    report = post_all(deliveries(2), server.url, clients=1)
    assert (report.sent, report.accepted, report.errors) == (2, 2, 0)
    assert server.bodies == [b'{"n":0}'] * 4 + [b'{"n":1}']


def test_a_receiver_that_stays_busy_is_an_error_in_the_end(listen: Callable[..., Listener]) -> None:
    server = listen(lambda _: (503, {"Retry-After": "0"}))
    report = post_all(deliveries(1), server.url, clients=1)
    assert (report.sent, report.accepted, report.errors) == (1, 0, 1)
    assert len(server.requests) == 6
    assert "503" in report.problems[0]


def test_a_refusal_is_final_and_told(listen: Callable[..., Listener]) -> None:
    server = listen(lambda _: (401, {}))
    report = post_all(deliveries(30), server.url, clients=4)
    assert (report.sent, report.refused, report.errors) == (30, 30, 0)
    assert len(server.requests) == 30
    assert len(report.problems) == 10
    assert all("401" in problem for problem in report.problems)


def test_nobody_listening_is_an_error_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.simulator.sender.TRIES", 2)
    report = post_all(deliveries(1), "http://127.0.0.1:9", clients=1)
    assert (report.sent, report.errors) == (1, 1)
    assert "ConnectionError" in report.problems[0]


def test_a_rate_holds_the_deliveries_back(listen: Callable[..., Listener]) -> None:
    server = listen()
    report = post_all(deliveries(11), server.url, clients=2, rate=50)
    assert report.seconds >= 10 / 50


def test_a_speed_keeps_the_distances_in_time(listen: Callable[..., Listener]) -> None:
    server = listen()
    report = post_all(deliveries(3), server.url, clients=2, speed=10)
    assert report.seconds >= 2 / 10


def test_with_the_start_of_a_simulation_nothing_is_posted_before_it_happened(
    listen: Callable[..., Listener],
) -> None:
    late: list[float] = []

    def measured() -> Iterator[Delivery]:
        for delivery in simulate(10, 1, start, rate=20, lead_seconds=1):
            yield delivery
            late.append((datetime.now(UTC) - delivery.at).total_seconds())

    start = datetime.now(UTC)
    count = sum(1 for _ in simulate(10, 1, start, rate=20, lead_seconds=1))
    # only the first deliveries: late ones come many seconds after
    report = post_all(islice(measured(), count // 2), listen().url, clients=2, speed=1, since=start)
    assert report.accepted == count // 2
    assert late
    assert min(late) >= 0


def test_a_broken_display_costs_no_delivery(listen: Callable[..., Listener]) -> None:
    def broken(done: int) -> None:
        raise RuntimeError(done)

    assert post_all(deliveries(20), listen().url, clients=3, progress=broken).accepted == 20


def test_an_interruption_ends_the_clients_and_is_passed_on(listen: Callable[..., Listener]) -> None:
    def interrupted() -> Iterator[Delivery]:
        yield from deliveries(5)
        raise KeyboardInterrupt

    before = threading.active_count()
    server = listen()
    with pytest.raises(KeyboardInterrupt):
        post_all(interrupted(), server.url, clients=4)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("post-")]
    assert threading.active_count() >= before


def test_nothing_to_post_is_an_empty_report(listen: Callable[..., Listener]) -> None:
    report = post_all([], listen().url)
    assert report == PostReport(0, 0, 0, 0, 0.0, 0.0, report.seconds)


@pytest.mark.parametrize("wrong", [{"clients": 0}, {"rate": 0.0}, {"speed": -1.0}])
def test_arguments_without_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        post_all([], "http://127.0.0.1:9", **wrong)  # type: ignore[arg-type]


def test_a_body_survives_as_sent(listen: Callable[..., Listener]) -> None:
    body = json.dumps({"text": "नमस्ते 🙂"}, ensure_ascii=False).encode()
    server = listen()
    post_all([Delivery("atoms", body, NOW)], server.url, 1)
    assert server.bodies == [body]
