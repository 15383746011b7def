"""Whether the receiver takes events, and which webhooks it refused lately, by its own counts."""

from datetime import UTC, datetime, timedelta

import pytest

from integrations.receiver_watch import (
    Sample,
    from_json,
    receiver_findings,
    refused_webhooks,
    sample,
    to_json,
    watched,
)
from tests.conftest import Installation, Receiver, free_port

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def keys(*samples: tuple[float, int, int]) -> list[str]:
    """Sources that are refused, after samples: at a minute, so many accepted and so many refused since the start."""
    seen: list[Sample] = []
    for minute, accepted, refused in samples:
        one = Sample(NOW + minute * MINUTE, {"vapi": accepted}, {"vapi": {"wrong": refused}})
        seen = from_json(to_json(watched(seen, one)))
    return [finding.key for finding in refused_webhooks(seen)]


@pytest.mark.parametrize(
    ("samples", "is_finding"),
    [
        ([(0, 5, 2), (1, 5, 4)], False),
        ([(0, 5, 2), (1, 5, 5)], True),
        ([(0, 5, 2), (1, 32, 5)], True),
        ([(0, 5, 2), (1, 33, 5)], False),
        ([(0, 5, 100)], False),
        ([(0, 0, 3)], True),
        ([(0, 0, 3), (14, 0, 3)], True),
        ([(0, 0, 3), (14, 0, 3), (16, 0, 3)], False),
        ([(0, 5, 0), (1, 5, 3), (15, 5, 3)], True),
        ([(0, 5, 0), (1, 5, 3), (16, 5, 3)], False),
        ([(0, 50, 90), (1, 0, 2), (2, 0, 2)], False),
        ([(0, 50, 90), (1, 0, 3)], True),
    ],
)
def test_many_refusals_of_the_last_quarter_of_an_hour_are_a_finding(
    samples: list[tuple[float, int, int]], is_finding: bool
) -> None:
    assert keys(*samples) == (["refused:vapi"] if is_finding else [])


@pytest.mark.parametrize("value", [None, {}, [1], [["x", {}, {}]], "x"])
def test_notes_of_another_form_are_none(value: object) -> None:
    assert from_json(value) == []


def test_no_receiver_is_a_finding(installation: Installation) -> None:
    bind = f"127.0.0.1:{installation.port}"
    assert [finding.headline for finding in receiver_findings(bind)] == ["The receiver does not answer"]
    assert sample(bind, NOW) is None


def test_a_receiver_that_runs_is_none_and_tells_its_counts(installation: Installation) -> None:
    with Receiver(installation):
        for bind in (f"127.0.0.1:{installation.port}", f"0.0.0.0:{installation.port}"):
            assert receiver_findings(bind) == []
        counts = sample(f"127.0.0.1:{installation.port}", NOW)
    assert counts == Sample(NOW)


def test_what_is_no_receiver_is_a_finding() -> None:
    import socketserver
    import threading

    class Other(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.wfile.write(
                b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n"
            )

    port = free_port()
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (finding,) = receiver_findings(f"127.0.0.1:{port}")
        server.shutdown()
    assert "status 302" in finding.details
