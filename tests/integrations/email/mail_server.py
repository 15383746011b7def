"""A real mail server on loopback that keeps what it took, and says at each step what it is told to."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from integrations.config import IntegrationSettings
from integrations.destinations import Destination, open_destination

Settings = Callable[..., IntegrationSettings]


@dataclass
class Office:
    """What a mail server took, and what it says at each step when it is told to."""

    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    seen: list[Session] = field(default_factory=list)
    options: list[list[str]] = field(default_factory=list)
    replies: dict[str, list[str]] = field(default_factory=dict)
    hang_at: str = ""
    slow_at: str = ""
    lose_answers: int = 0

    async def _reply(self, step: str) -> str | None:
        if self.hang_at == step:
            await asyncio.sleep(30)
        if self.slow_at == step:
            await asyncio.sleep(0.8)
        waiting = self.replies.get(step)
        return waiting.pop(0) if waiting else None

    async def handle_NOOP(self, server: SMTP, session: Session, envelope: Envelope, argument: str) -> str:
        self.seen.append(session)
        return "250 OK"

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := await self._reply("MAIL"):
            return reply
        envelope.mail_from = address
        self.options.append(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := await self._reply("RCPT"):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if reply := await self._reply("DATA"):
            return reply
        content = envelope.content
        assert isinstance(content, bytes)
        self.raw.append(content)
        self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
        self.sessions.append(session)
        if self.lose_answers:
            self.lose_answers -= 1
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 OK"


def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ada", b"hunter2")
    return AuthResult(success=known, handled=False)


@contextmanager
def serving(
    office: Office, authority: trustme.CA, security: str, name: str = "127.0.0.1", **more: Any
) -> Iterator[int]:
    """An SMTP server on a free port of loopback; the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    kinds: dict[str, dict[str, Any]] = {
        "starttls": {"tls_context": context},
        # aiosmtpd does not count its own TLS from the first byte as such.
        "tls": {"ssl_context": context, "auth_require_tls": False},
        "none": {},
    }

    class OnAFreePort(Controller):
        """aiosmtpd's own, which cannot tell the port it was given."""

        def _trigger_server(self) -> None:
            assert isinstance(self.server, asyncio.Server)
            self.port = self.server.sockets[0].getsockname()[1]
            super()._trigger_server()  # type: ignore[no-untyped-call]

    controller = OnAFreePort(
        office, hostname="127.0.0.1", port=0, enable_SMTPUTF8=more.pop("utf8", True), authenticator=authenticate,
        **kinds[security], **more,
    )  # fmt: skip
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def opened(settings: IntegrationSettings) -> Destination:
    return open_destination("email", settings)


def close(target: Destination) -> None:
    target.close()  # type: ignore[attr-defined]
