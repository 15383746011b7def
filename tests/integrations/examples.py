"""Due actions and a destination to try things on. The destination writes a line for each thing it makes."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.crm.records import Crm
from integrations.destinations import Delivery
from integrations.http import Answer, HttpClient
from integrations.outbox import DueAction, Outbox, SkipReason
from integrations.outbox.alerts import alerts
from integrations.ticket.desk import TicketDestination

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def ticket(call: str = "1", *, due_at: datetime | None = NOW, **payload: Any) -> DueAction:
    defaults = {
        "title": "Rental car: Ada", "description": "It did not start.", "priority": "normal", "queue": "cars",
        "issue_type": "rental_car", "customer_name": "Ada", "customer_phone": "+12025550143",
        "customer_email": "ada@example.com", "is_resolved": False,
    }  # fmt: skip
    return DueAction(f"ticket:atoms:{call}", "ticket", "ticket", "atoms", call, defaults | payload, due_at)


def email(
    call: str = "1", *, due_at: datetime | None = NOW, skip_reason: SkipReason | None = None, **payload: Any
) -> DueAction:
    defaults = {
        "template": "thank_you", "to_address": "ada@example.com", "customer_name": "Ada",
        "issue_type": "rental_car", "summary": "The car was booked.", "language": "en",
    }  # fmt: skip
    key = f"follow_up_email:atoms:{call}"
    return DueAction(key, "email", "follow_up_email", "atoms", call, defaults | payload, due_at, skip_reason)


def alert(outbox: Outbox, key: str, headline: str, settings: IntegrationSettings, **texts: str) -> None:
    """Make an alert due."""
    outbox.enqueue(alerts(key, headline, settings, NOW, **texts), NOW, settings)


def contact(phone: str = "+12025550143", **payload: Any) -> DueAction:
    defaults = {"phone": phone, "name": "Ada", "email": "ada@example.com", "is_vip": False, "call_count": 1}
    return DueAction(f"contact:{phone}", "crm", "contact", "atoms", "1", defaults | payload, NOW)


def note(call: str = "1", phone: str = "+12025550143", **payload: Any) -> DueAction:
    defaults = {
        "phone": phone,
        "title": "Voice call - 5 min - successful",
        "body": "Booked.",
        "duration_seconds": 300,
    }
    return DueAction(f"note:atoms:{call}", "crm", "note", "atoms", call, defaults | payload, NOW)


def task(call: str = "1", phone: str = "+12025550143", **payload: Any) -> DueAction:
    defaults = {"phone": phone, "subject": "Call back", "body": "Ada waits.", "due_date": "2026-11-03"}
    return DueAction(f"task:atoms:{call}", "crm", "task", "atoms", call, defaults | payload, NOW)


def slack(call: str = "1", kind: str = "transfer_requested", **payload: Any) -> DueAction:
    defaults = {
        "slack_channel": "#support", "headline": "Transfer requested by Ada", "customer": "Ada",
        "summary": "Ada wants a person.", "action_needed": "Call her back", "agent_id": "a1",
        "started_at": "2026-11-02T07:55:00Z",
    }  # fmt: skip
    return DueAction(f"{kind}:atoms:{call}", "chat", kind, "atoms", call, defaults | payload, NOW)


with_news = pytest.mark.parametrize(
    ("row", "later"),
    [
        (contact(), contact(call_count=2, email="new@shop.de")),
        (note(), note(body="More.")), (task(), task(body="More.")),
    ],
    ids=lambda row: row.kind,
)  # fmt: skip


def delivery(action: DueAction) -> Delivery:
    return Delivery(
        action.action_key, action.channel, action.kind, action.source, action.call_id, action.payload, at=NOW
    )


class Register:
    """A system behind a channel: a file with a line for each record made or changed."""

    name = "register"

    def __init__(self, path: Path, fails: Callable[[Delivery], None] | None = None, die_at: str = "") -> None:
        self.path, self.fails, self.die_at = path, fails, die_at

    def find(self, delivery: Delivery) -> str | None:
        self._die("find", delivery)
        known_ids = [line["id"] for line in self.lines() if line["key"] == delivery.action_key]
        return known_ids[0] if known_ids else None

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        if self.fails:
            self.fails(delivery)
        self._die("before", delivery)
        line = {
            "key": delivery.action_key, "id": external_id or f"R{len(self.lines()) + 1}",
            "did": "update" if external_id else "create", "payload": dict(delivery.payload),
            "contact_id": delivery.contact_id,
        }  # fmt: skip
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._die("after", delivery)
        return str(line["id"])

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def did(self) -> list[tuple[str, str]]:
        return [(line["did"], line["key"]) for line in self.lines()]

    def _die(self, where: str, delivery: Delivery) -> None:
        if self.die_at == f"{where} {delivery.action_key}":
            os.kill(os.getpid(), signal.SIGKILL)


def written_by(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The JSON bodies of what a client is asked to write from now on, as they go out."""
    written: list[Any] = []
    ask = client.request

    def request(method: str, path: str = "", **arguments: Any) -> Answer:
        if method in ("POST", "PUT", "PATCH") and arguments.get("json") is not None:
            written.append(arguments["json"])
        return ask(method, path, **arguments)

    monkeypatch.setattr(client, "request", request)
    return written


def record_goes_out(crm: Crm, row: DueAction, later: DueAction, written: Callable[[], list[Any]]) -> None:
    """What a CRM shows of a record and of its update is what it writes, and nothing when nothing is new."""
    shown = crm.body(delivery(row), None)
    identity = crm.send(delivery(row), None)
    assert written()[-1] == shown
    assert crm.body(delivery(row), identity) is None
    shown = crm.body(delivery(later), identity)
    crm.send(delivery(later), identity)
    assert shown is not None
    assert {**written()[-1], **shown} == written()[-1]


def goes_out_as_shown(desk: TicketDestination, row: DueAction, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a desk shows of a ticket and of its news is what it writes, and nothing when nothing is new."""
    shown = desk.body(delivery(row), None)
    written = written_by(desk.client, monkeypatch)
    number = desk.send(delivery(row), None)
    assert written[-1] == shown
    assert desk.body(delivery(row), number) is None
    news = replace(row, payload={**row.payload, "is_resolved": True})
    shown = desk.body(delivery(news), number)
    desk.send(delivery(news), number)
    assert written[-1] == shown
    assert "the issue was resolved" in str(shown)
