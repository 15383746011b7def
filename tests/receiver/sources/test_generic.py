from datetime import UTC, datetime

from receiver.envelope import Facts
from receiver.sources import SOURCES


def test_plain_form() -> None:
    body = {
        "type": "call.end",
        "timestamp": "2026-11-02T08:00:00+01:00",
        "data": {"call_id": "c1", "direction": "Inbound", "customer_phone": "+1555", "more": [1]},
    }
    moment = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
    assert SOURCES["generic"].facts(body, {"webhook-id": "msg_1"}) == Facts(
        "msg_1", "call.end", "c1", moment, "+1555", "inbound"
    )


def test_nothing_but_an_object() -> None:
    assert SOURCES["generic"].facts([1], {}) == Facts()
    assert SOURCES["generic"].facts({"type": {}, "data": "x"}, {}) == Facts()
