"""The signed webhook, Slack's ways in and the mail server under every fault; the rest is beside its destination."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks import Webhook, WebhookVerificationError

from integrations.outbox import DueAction
from tests.integrations import examples, servers
from tests.integrations.chat.workspace import TOKEN, Workspace
from tests.integrations.email.mail_server import authenticate
from tests.integrations.faults.suite import (
    CredentialFaults,
    DeletionFaults,
    FaultSuite,
    TlsFaults,
    UnderFault,
    UpdateFaults,
)
from tests.integrations.faults.wire_protocols import Smtp
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
        try:
            Webhook(SECRET).verify(request.body, request.headers)
        except WebhookVerificationError:
            return says(401, {"error": "no matching signature"})
        self.taken[request.headers["webhook-id"]] = request.json()
        return says(200, {"ok": True})

    def settings(self, url: str) -> dict[str, Any]:
        return {"tickets": "webhook", "webhook_url": url, "webhook_secret": SECRET}

    def wrong_credentials(self) -> dict[str, Any]:
        return {"webhook_secret": "whsec_" + base64.b64encode(b"y" * 32).decode()}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [examples.ticket(case, title=f"revision {revision}")]

    def count(self, action: DueAction) -> int:
        created = [one for one in self.taken.values() if one["type"] == "ticket.created"]
        return sum(one["data"]["action_key"] == action.action_key for one in created)

    def stored_text(self, action: DueAction) -> str:
        return str([one for one in self.taken.values() if one["data"]["action_key"] == action.action_key])


class IncomingWebhook(UnderFault):
    """Slack's: it says ok, and nothing else; the key is part of its address."""

    channel = "chat"
    recognises_repeats = False

    def __init__(self, system: System) -> None:
        self.upstream = system.address
        self.posted: list[str] = []
        system.always = self._take

    def _take(self, request: Request) -> Answer:
        if not request.path.endswith("/x"):
            return says(403, b"invalid_token")
        self.posted.append(request.json()["text"])
        return says(200, b"ok")

    def settings(self, url: str) -> dict[str, Any]:
        self.url = url
        return {"chat": "slack_webhook", "slack_webhook_url": f"{url}/services/T/B/x"}

    def wrong_credentials(self) -> dict[str, Any]:
        return {"slack_webhook_url": f"{self.url}/services/T/B/wrong"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [examples.slack(case, headline=f"Case {case}.")]

    def count(self, action: DueAction) -> int:
        return self.posted.count(action.payload["headline"])


class Bot(UnderFault):
    """Slack's Web API; the second message about a call goes into the thread of the first."""

    channel = "chat"

    def __init__(self, system: System, limits: Path) -> None:
        self.upstream = system.address
        self.workspace = system.always = Workspace()
        self.limits = limits
        # One message a second is Slack's word; here it would only be waited for.
        limits.write_text("[limits.slack_bot]\nper_second = 100\n")

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "chat": "slack_bot", "slack_api_url": url, "slack_bot_token": TOKEN, "destinations_file": self.limits,
        }  # fmt: skip

    def wrong_credentials(self) -> dict[str, Any]:
        return {"slack_bot_token": "xoxb-wrong"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [examples.slack(case), examples.slack(case, "unhappy_customer")]

    def count(self, action: DueAction) -> int:
        return len(self._of(action))

    def delete(self, action: DueAction) -> None:
        for one in self._of(action):
            self.workspace.messages.remove(one)

    def _of(self, action: DueAction) -> list[dict[str, Any]]:
        return [
            one
            for one in self.workspace.messages
            if one["metadata"]["event_payload"]["action_key"] == action.action_key
        ]


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
            "smtp_security": "none", "smtp_username": "ada", "smtp_password": "hunter2",
            "email_from_address": "help@shop.example.com", "email_allow_example_domains": True,
        }  # fmt: skip

    def secured(self, url: str) -> dict[str, Any]:
        return self.settings(url) | {"smtp_security": "tls"}

    def wrong_credentials(self) -> dict[str, Any]:
        return {"smtp_password": "wrong"}

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        return [examples.email(case, to_address=f"case{case}@example.com")]

    def count(self, action: DueAction) -> int:
        return sum(to == action.payload["to_address"] for to, _ in self.box)


class _OnAFreePort(Controller):
    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class TestSignedWebhook(FaultSuite, TlsFaults, CredentialFaults, UpdateFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        with servers.running() as system:
            yield SignedWebhook(system)


class TestIncomingWebhook(FaultSuite, TlsFaults, CredentialFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        with servers.running() as system:
            yield IncomingWebhook(system)


class TestBot(FaultSuite, TlsFaults, CredentialFaults, DeletionFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnderFault]:
        with servers.running() as system:
            yield Bot(system, tmp_path_factory.mktemp("bot") / "destinations.toml")


class TestMailServer(FaultSuite, TlsFaults, CredentialFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        office = MailServer()
        controller = _OnAFreePort(
            office, hostname="127.0.0.1", port=0, authenticator=authenticate, auth_require_tls=False
        )
        controller.start()
        office.upstream = ("127.0.0.1", controller.port)
        yield office
        with suppress(RuntimeError):
            controller.stop()
