"""Where no time is signed, the delivery id is the guard: a request sent again is a second line and no second event."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from receiver.signatures import hmac_sha256_hex
from tests.homes import landing_of

SECRET, STANDARD_SECRET = "signing-secret", "whsec_cmVwbGF5ZWQtZGVsaXZlcmllcy10ZXN0"
WIRE = {
    "id": "delivery-1",
    "event": "agent-1.post-conversation",
    "metadata": {
        "agentId": "agent-1",
        "eventType": "post-conversation",
        "callId": "CALL-1793606433000-0a1b2c",
    },
}
SEED = {"event": "call.end", "timestamp": "2026-11-02T08:00:33Z", "agent_id": "agent-1", "call_id": "call-1"}
STANDARD = {"type": "call.end", "timestamp": "2026-11-02T08:00:33Z", "data": {"call_id": "call-2"}}


@pytest.fixture
def url(installation: Any) -> Iterator[str]:
    process = installation.start(
        "receiver", AFTERCALL_SECRET_ATOMS=SECRET, AFTERCALL_SECRET_GENERIC=STANDARD_SECRET
    )
    deadline = time.monotonic() + 60
    while not is_ready(installation.url):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield installation.url
    process.terminate()
    process.communicate(timeout=20)


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def recorded() -> list[tuple[str, bytes, dict[str, str]]]:
    """Signed requests, as somebody between the platform and the receiver could have kept them."""
    wire, seed, standard = (json.dumps(event).encode() for event in (WIRE, SEED, STANDARD))
    now = datetime.now(UTC)
    return [
        ("atoms", wire, {"X-Signature": hmac_sha256_hex(SECRET, wire)}),
        ("atoms", seed, {"X-Atoms-Signature": f"sha256={hmac_sha256_hex(SECRET, seed)}"}),
        ("generic", standard, {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(STANDARD_SECRET).sign("msg_1", now, standard.decode()),
        }),
    ]  # fmt: skip


def send(url: str, requests_: list[tuple[str, bytes, dict[str, str]]]) -> list[tuple[int, str | None]]:
    answers = [
        requests.post(
            f"{url}/webhooks/{source}",
            data=body,
            headers={"Content-Type": "application/json"} | headers,
            timeout=20,
        )
        for source, body, headers in requests_
    ]
    return [(answer.status_code, answer.json().get("event_id")) for answer in answers]


def test_a_replay_is_a_duplicate_and_changes_nothing(installation: Any, url: str) -> None:
    settings = OrchestrationSettings(home=installation.home)
    deliveries = recorded()
    first = send(url, deliveries)
    assert [status for status, _ in first] == [200, 200, 200]
    assert first[0][1] == "delivery-1"
    assert first[2][1] == "msg_1"
    assert send(url, deliveries) == first
    assert pipeline.load_events(settings).rows == {"call_events": 3, "rejected_lines": 0}
    before = installation.warehouse("select * from raw.call_events order by all")

    for _ in range(3):
        assert send(url, deliveries) == first
    store = landing_of(installation.home)
    lines = b"".join(store.read(segment.path).data for segment in store.segments())
    assert lines.count(b"\n") == 5 * len(deliveries)
    assert pipeline.load_events(settings).rows["rejected_lines"] == 0
    assert installation.warehouse("select * from raw.call_events order by all") == before


def test_nothing_of_a_replay_can_be_changed(installation: Any, url: str) -> None:
    wire, seed, standard = recorded()
    forged = [
        (wire[0], wire[1].replace(b"delivery-1", b"delivery-2"), wire[2]),
        (wire[0], wire[1] + b" ", wire[2]),
        (seed[0], seed[1].replace(b"call-1", b"call-9"), seed[2]),
        (standard[0], standard[1], standard[2] | {"webhook-id": "msg_2"}),
        (standard[0], standard[1], standard[2] | {"webhook-timestamp": str(int(time.time()) + 60)}),
        # a signature of one source under another, which is given the same secret only by a careless operator
        ("generic", wire[1], wire[2]),
        ("atoms", standard[1], standard[2]),
    ]
    assert send(url, forged) == [(401, None)] * len(forged)
    assert list(landing_of(installation.home).segments()) == []
