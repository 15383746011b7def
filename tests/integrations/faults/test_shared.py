"""The signed webhook, Slack's ways in and the mail server under every fault; the rest is beside its destination."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from integrations.outbox import DueAction
from tests.integrations import examples, servers
from tests.integrations.faults.dialogues import Smtp
from tests.integrations.faults.suite import (
    CredentialFaults,
    DeletionFaults,
    FaultSuite,
    TlsFaults,
    UnderFault,
    UpdateFaults,
)
from tests.integrations.servers import Answer, Request, System, says

SECRET = "whsec_" + base64.b64encode(b"x" * 32).decode()


class SignedWebhook(UnderFault):
    """A receiver that does as the standard says: of equal `webhook-id`s it takes one."""

    channel = "ticket"

    def __init__(self, system: System) -> None:
        self.upstream = system.address
        self.taken: dict[str, dict[str, Any]] = {}
        system.always = self._take

    def _take(self, request: Request) -> Answer:
        self.taken[request.headers["webhook-id"]] = request.json()
        return says(200, {"ok": True})

    def settings(self, url: str) -> dict[str, Any]:
        return {"tickets": "webhook", "webhook_url": url, "webhook_secret": SECRET}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [examples.ticket(case, title=f"revision {revision}")]

    def count(self, action: DueAction) -> int:
        created = [one for one in self.taken.values() if one["type"] == "ticket.created"]
        return sum(one["data"]["action_key"] == action.action_key for one in created)


class IncomingWebhook(UnderFault):
    """Slack's: it says ok, and nothing else."""

    channel = "slack"
    recognises_repeats = False

    def __init__(self, system: System) -> None:
        self.upstream = system.address
        self.posted: list[str] = []
        system.always = self._take

    def _take(self, request: Request) -> Answer:
        self.posted.append(request.json()["text"])
        return says(200, b"ok")

    def settings(self, url: str) -> dict[str, Any]:
        return {"slack": "webhook", "slack_webhook_url": f"{url}/services/T/B/x"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [examples.slack(case, headline=f"Case {case}.")]

    def count(self, action: DueAction) -> int:
        return self.posted.count(action.payload["headline"])


class Bot(UnderFault):
    """Slack's Web API as far as the bot needs it: it keeps messages and lists them."""

    channel = "slack"

    def __init__(self, system: System) -> None:
        self.upstream = system.address
        self.messages: dict[str, dict[str, Any]] = {}
        system.always = self._answer

    def _answer(self, request: Request) -> Answer:
        method = request.path.partition("?")[0].strip("/")
        if request.headers.get("authorization") != "Bearer xoxb-right":
            return says(200, {"ok": False, "error": "invalid_auth"})
        if method == "conversations.list":
            return says(200, {"ok": True, "channels": [{"id": "C1", "name": "support"}]})
        if method == "conversations.history":
            return says(200, {"ok": True, "messages": list(self.messages.values())})
        made = {**request.json(), "ts": f"{len(self.messages) + 1}.0"}
        self.messages[made["ts"]] = made
        return says(200, {"ok": True, "channel": "C1", "ts": made["ts"]})

    def settings(self, url: str) -> dict[str, Any]:
        return {"slack": "bot", "slack_api_url": url, "slack_bot_token": "xoxb-right"}

    def wrong_credentials(self) -> dict[str, Any]:
        return {"slack_bot_token": "xoxb-wrong"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [examples.slack(case)]

    def count(self, action: DueAction) -> int:
        return len(self._of(action))

    def delete(self, action: DueAction) -> None:
        for timestamp in self._of(action):
            del self.messages[timestamp]

    def _of(self, action: DueAction) -> list[str]:
        keys = {ts: one["metadata"]["event_payload"]["action_key"] for ts, one in self.messages.items()}
        return [ts for ts, key in keys.items() if key == action.action_key]


class MailServer(UnderFault):
    """A mail server whose people have mailboxes that show mails of one Message-ID once."""

    channel, scheme, dialogue = "email", "smtp", Smtp()

    def __init__(self) -> None:
        self.upstream = ("127.0.0.1", 0)
        self.box: set[tuple[str, bytes]] = set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.box.add((envelope.rcpt_tos[0], envelope.content.split(b"Message-ID: ")[1].split(b"\r\n")[0]))
        return "250 OK"

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "emails": "smtp", "smtp_host": "127.0.0.1", "smtp_port": int(url.rpartition(":")[2]),
            "smtp_security": "none", "email_from_address": "help@shop.example.com", "email_allow_example_domains": True,
        }  # fmt: skip

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [examples.email(case, to_address=f"case{case}@example.com")]

    def count(self, action: DueAction) -> int:
        return sum(to == action.payload["to_address"] for to, _ in self.box)


class _OnAFreePort(Controller):
    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class TestSignedWebhook(FaultSuite, TlsFaults, UpdateFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        with servers.running() as system:
            yield SignedWebhook(system)


class TestIncomingWebhook(FaultSuite, TlsFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        with servers.running() as system:
            yield IncomingWebhook(system)


class TestBot(FaultSuite, TlsFaults, CredentialFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        with servers.running() as system:
            yield Bot(system)


class TestMailServer(FaultSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        office = MailServer()
        controller = _OnAFreePort(office, hostname="127.0.0.1", port=0)
        controller.start()
        office.upstream = ("127.0.0.1", controller.port)
        yield office
        with suppress(RuntimeError):
            controller.stop()
