"""Mail handed to a real SMTP server, with encryption, login, and every kind of trouble on the way."""

import asyncio
import email
import email.policy
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from integrations.config import IntegrationSettings
from integrations.destinations import Destination, open_destination
from integrations.errors import Paused, Refused, Retryable, Skipped
from integrations.outbox import Outbox, dispatch
from tests.integrations.examples import NOW, delivery
from tests.integrations.examples import email as due

Settings = Callable[..., IntegrationSettings]
ALLOWED = {"email_allow_example_domains": True}


@dataclass
class Office:
    """What a mail server took, and what it says at each step when it is told to."""

    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
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


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


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


@pytest.fixture
def make(tmp_path: Path, authority: trustme.CA) -> Settings:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def settings(port: int, **changes: Any) -> IntegrationSettings:
        ours: dict[str, Any] = {
            "emails": "smtp", "smtp_host": "127.0.0.1", "smtp_port": port, "smtp_ca_file": tmp_path / "ca.pem",
            "email_from_address": "help@shop.example.com", "smtp_seconds": 10,
        }  # fmt: skip
        return IntegrationSettings(home=tmp_path, **(ours | ALLOWED | changes))

    return settings


def opened(settings: IntegrationSettings) -> Destination:
    return open_destination("email", settings)


def close(target: Destination) -> None:
    target.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_a_mail_arrives_whole(make: Settings, authority: trustme.CA, security: str) -> None:
    office = Office()
    login = {} if security == "none" else {"smtp_username": "ada", "smtp_password": "hunter2"}
    with serving(office, authority, security) as port:
        target = opened(make(port, smtp_security=security, **login))
        text = ".\n..\nGrüße 👩‍👩‍👧\n" + "x" * 2_000
        identity = target.send(delivery(due(summary=text)), None)
        close(target)
    (mail,) = office.mails
    assert mail["Message-ID"] == identity
    assert (mail["To"], mail["From"]) == ("Ada <ada@example.com>", "Customer Support <help@shop.example.com>")
    body = mail.get_body(("plain",))
    assert body is not None
    for part in text.splitlines()[:-1]:
        assert part in body.get_content().splitlines()
    assert (office.sessions[0].ssl is not None) == (security == "starttls")
    assert (office.sessions[0].authenticated is True) == bool(login)


def test_one_connection_for_many_mails_and_one_message_id_for_each(
    make: Settings, authority: trustme.CA
) -> None:
    office = Office()
    with serving(office, authority, "starttls") as port:
        for _ in range(2):
            target = opened(make(port))
            for number in range(3):
                target.send(delivery(due(str(number))), None)
            close(target)
    assert len({id(session) for session in office.sessions}) == 2
    identities = [mail["Message-ID"] for mail in office.mails]
    assert identities[:3] == identities[3:]
    assert len(set(identities)) == 3


@pytest.mark.parametrize(
    ("step", "reply", "kind", "told"),
    [
        ("MAIL", "451 try later", Retryable, "451 try later"),
        ("MAIL", "530 authentication required", Paused, "AFTERCALL_SMTP_USERNAME"),
        ("MAIL", "553 not your address", Paused, "AFTERCALL_EMAIL_FROM_ADDRESS"),
        ("MAIL", "552 too large", Refused, "552"),
        ("RCPT", "450 greylisted", Retryable, "450 greylisted"),
        ("RCPT", "550 no such user", Refused, "550 no such user"),
        ("DATA", "452 disk full", Retryable, "452 disk full"),
        ("DATA", "554 looks like spam", Refused, "554 looks like spam"),
        ("RCPT", "421 closing", Retryable, "421"),
    ],
)
def test_what_a_reply_means_and_the_next_mail_goes_out(
    make: Settings, authority: trustme.CA, step: str, reply: str, kind: type[Exception], told: str
) -> None:
    office = Office(replies={step: [reply]})
    with serving(office, authority, "starttls") as port:
        target = opened(make(port))
        with pytest.raises(kind, match=told) as error:
            target.send(delivery(due("1")), None)
        assert type(error.value) is kind
        target.send(delivery(due("2")), None)
        close(target)
    assert len(office.mails) == 1


def test_a_connection_that_died_between_two_mails_is_made_anew(make: Settings, authority: trustme.CA) -> None:
    office = Office()
    with serving(office, authority, "starttls", timeout=1.5) as port:
        target = opened(make(port))
        target.send(delivery(due("1")), None)
        first = target._connection._server  # type: ignore[attr-defined]
        assert first.sock.recv(1_000) == b""
        target.send(delivery(due("2")), None)
        office.replies["MAIL"] = ["421 too many mails"]
        target.send(delivery(due("3")), None)
        close(target)
    assert len(office.mails) == 3


def test_a_wrong_password_stops_the_channel_after_one_login(
    make: Settings, authority: trustme.CA, outbox: Outbox
) -> None:
    office = Office()
    with serving(office, authority, "starttls") as port:
        settings = make(port, smtp_username="ada", smtp_password="wrong-password")
        outbox.fill([due(str(number)) for number in range(20)], NOW, settings)
        report = dispatch(outbox, "email", settings, now=NOW)
    assert (report.dead, report.retrying, report.waiting, report.due) == (0, 0, 20, 0)
    (pause,) = outbox.pauses()
    assert "535" in pause.reason
    assert "AFTERCALL_SMTP_PASSWORD" in pause.reason
    assert "wrong-password" not in pause.reason
    assert office.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_for_another_name_gets_neither_mail_nor_password(
    make: Settings, authority: trustme.CA, security: str
) -> None:
    office = Office()
    with serving(office, authority, security, name="mail.example") as port:
        settings = make(port, smtp_security=security, smtp_username="ada", smtp_password="hunter2")
        with pytest.raises(Paused, match="certificate that is not to be trusted"):
            opened(settings).send(delivery(due()), None)
    assert office.mails == []


def test_never_less_encryption_than_was_said(make: Settings, authority: trustme.CA) -> None:
    office = Office()
    with serving(office, authority, "none", auth_require_tls=False) as port:
        with pytest.raises(Paused, match="AFTERCALL_SMTP_SECURITY=starttls"):
            opened(make(port)).send(delivery(due()), None)
        with pytest.raises(Paused, match="AFTERCALL_SMTP_SECURITY=starttls"):
            opened(make(port, smtp_security="tls")).send(delivery(due()), None)
    assert office.mails == []


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_hangs_is_left(make: Settings, authority: trustme.CA, step: str) -> None:
    office = Office(hang_at=step)
    with serving(office, authority, "starttls") as port:
        with pytest.raises(Retryable, match=r"silent for 0\.3 s"):
            opened(make(port, smtp_seconds=0.3)).send(delivery(due()), None)
        with pytest.raises(Retryable, match=r"within 0\.3 s"):
            opened(make(port, smtp_whole_seconds=0.3)).send(delivery(due()), None)


def test_a_mail_that_was_given_up_is_not_sent_behind_ones_back(make: Settings, authority: trustme.CA) -> None:
    office = Office(slow_at="RCPT")
    with serving(office, authority, "starttls") as port:
        with pytest.raises(Retryable, match=r"within 0\.3 s"):
            opened(make(port, smtp_whole_seconds=0.3)).send(delivery(due("1")), None)
        # Two mails that take as long: by then the one that was given up would be there too.
        sent = [opened(make(port)).send(delivery(due(number)), None) for number in ("2", "3")]
    assert [mail["Message-ID"] for mail in office.mails] == sent


def test_nobody_listens_and_no_server_is_named(make: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Retryable, match="Connection refused"):
        opened(make(port)).send(delivery(due()), None)
    with pytest.raises(Paused, match="set AFTERCALL_SMTP_HOST"):
        opened(make(port, smtp_host=""))
    with pytest.raises(Paused, match="AFTERCALL_SMTP_CA_FILE"):
        opened(make(port, smtp_ca_file=Path("nowhere.pem"), smtp_security="tls")).send(delivery(due()), None)


def test_a_lost_answer_and_a_kill_repeat_the_mail_under_the_same_id(
    make: Settings, authority: trustme.CA, outbox: Outbox
) -> None:
    office = Office(lose_answers=1)
    program = """
        import os, signal, sys
        from integrations.email.smtp import SmtpDestination
        from integrations.config import IntegrationSettings
        from integrations.outbox import dispatch, open_outbox
        from tests.integrations.examples import NOW
        send = SmtpDestination.send
        SmtpDestination.send = lambda *args: (send(*args), os.kill(os.getpid(), signal.SIGKILL))
        settings = IntegrationSettings()
        dispatch(open_outbox(sys.argv[1]), "email", settings, now=NOW)
    """
    with serving(office, authority, "starttls") as port:
        settings = make(port)
        outbox.fill([due()], NOW, settings)
        assert dispatch(outbox, "email", settings, now=NOW).retrying == 1
        outbox.retry(due().action_key)
        names = (
            "home", "emails", "smtp_host", "smtp_port", "smtp_ca_file", "email_from_address",
            "email_allow_example_domains",
        )  # fmt: skip
        environment = {f"AFTERCALL_{name.upper()}": str(getattr(settings, name)) for name in names}
        root = str(Path(__file__).resolve().parents[3])
        url = outbox.engine.url.render_as_string(hide_password=False)
        command = [sys.executable, "-c", textwrap.dedent(program), url]
        killed = subprocess.run(command, env={**os.environ, **environment, "PYTHONPATH": root}, check=False)
        assert killed.returncode == -signal.SIGKILL
        deadline = 100
        while dispatch(outbox, "email", settings, now=NOW).busy and deadline:
            deadline -= 1
        action = outbox.action(due().action_key)
    assert action is not None
    assert action.status == "sent"
    assert len(office.mails) == 3
    assert {mail["Message-ID"] for mail in office.mails} == {action.external_id}


@pytest.mark.parametrize(
    "domain", ["example.com", "EXAMPLE.org", "mail.example.net", "corp.test", "x.invalid", "shop.example"]
)
def test_nobody_reads_mail_in_an_example_domain(make: Settings, outbox: Outbox, domain: str) -> None:
    settings = make(1, email_allow_example_domains=False, email_from_address="help@shop.de")
    row = due(to_address=f"ada@{domain}")
    outbox.fill([row], NOW, settings)
    assert dispatch(outbox, "email", settings, now=NOW).skipped == 1
    action = outbox.action(row.action_key)
    assert action is not None
    assert action.status == "skipped"
    assert (
        action.last_error
        == f"held back: {domain.lower()} is a domain for examples, and nobody reads mail there"
    )


def test_an_example_cannot_be_the_sender_either(make: Settings) -> None:
    settings = make(1, email_allow_example_domains=False, email_from_address="support@example.com")
    with pytest.raises(Paused, match="AFTERCALL_EMAIL_FROM_ADDRESS"):
        opened(settings).send(delivery(due(to_address="ada@shop.de")), None)


def test_who_is_on_the_suppression_list_gets_none(
    make: Settings, authority: trustme.CA, tmp_path: Path
) -> None:
    office, listed = Office(), tmp_path / "suppressed.txt"
    with serving(office, authority, "starttls") as port:
        target = opened(make(port))
        listed.write_text(
            "\ufeff# asked on the phone\nADA@example.com  # twice\r\n@spam.example\n", encoding="utf-8"
        )
        for address in ("ada@example.com", "Ada@Example.COM", "eve@spam.example"):
            with pytest.raises(Skipped, match="suppression list"):
                target.send(delivery(due(to_address=address)), None)
        target.send(delivery(due(to_address="bob@example.com")), None)
        with listed.open("a") as file:
            file.write("bob@example.com\n")
        with pytest.raises(Skipped):
            target.send(delivery(due(to_address="bob@example.com")), None)
        close(target)
        with pytest.raises(Paused, match="AFTERCALL_EMAIL_SUPPRESSION_FILE"):
            opened(make(port, email_suppression_file=tmp_path / "gone.txt")).send(delivery(due()), None)
    assert [mail["To"] for mail in office.mails] == ["Ada <bob@example.com>"]


def test_list_unsubscribe(make: Settings, authority: trustme.CA) -> None:
    office = Office()
    with serving(office, authority, "starttls") as port:
        target = opened(make(port, email_list_unsubscribe="mailto:stop@shop.de, https://shop.de/stop/{mail}"))
        identity = target.send(delivery(due()), None)
        close(target)
        with pytest.raises(Paused, match="AFTERCALL_EMAIL_LIST_UNSUBSCRIBE"):
            opened(make(port, email_list_unsubscribe="http://shop.de")).send(delivery(due()), None)
    (mail,) = office.mails
    digest = identity.strip("<>").partition("@")[0]
    assert mail["List-Unsubscribe"] == f"<mailto:stop@shop.de>, <https://shop.de/stop/{digest}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_letters_beyond_ascii_need_a_server_that_takes_them(make: Settings, authority: trustme.CA) -> None:
    row = due(to_address="jürgen@example.com", customer_name="Jürgen")
    for utf8 in (True, False):
        office = Office()
        with serving(office, authority, "starttls", utf8=utf8) as port:
            target = opened(make(port))
            if utf8:
                target.send(delivery(row), None)
                assert "SMTPUTF8" in office.options[0]
            else:
                with pytest.raises(Refused, match="SMTPUTF8"):
                    target.send(delivery(row), None)
            close(target)
