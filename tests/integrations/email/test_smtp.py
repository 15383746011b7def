"""Mail handed to a real SMTP server, with encryption, login, and every kind of trouble on the way."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme

from integrations.destinations import Limits, SupportsCheck
from integrations.email.smtp import SmtpSettings
from integrations.errors import DestinationUnavailable, Rejected, TransientError, Unreachable, Unsendable
from integrations.outbox import Outbox, dispatch
from tests.integrations.email.mail_server import Office, Settings, close, opened, serving
from tests.integrations.examples import NOW, delivery
from tests.integrations.examples import email as due


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
    ("step", "reply", "kind", "words"),
    [
        ("MAIL", "421 4.7.0 too many connections", Unreachable, "421"),
        ("MAIL", "450 4.7.1 not yet", Unreachable, "450"),
        ("MAIL", "451 try later", Unreachable, "451 try later"),
        ("MAIL", "452 4.3.1 no room", Unreachable, "452"),
        ("MAIL", "530 authentication required", DestinationUnavailable, "AFTERCALL_SMTP_USERNAME"),
        ("MAIL", "553 not your address", DestinationUnavailable, "AFTERCALL_EMAIL_FROM_ADDRESS"),
        ("MAIL", "552 too large", Rejected, "552"),
        ("RCPT", "450 greylisted", TransientError, "450 greylisted"),
        ("RCPT", "450 4.2.1 mailbox is busy", TransientError, "4.2.1"),
        ("RCPT", "450 4.3.2 system does not take mail now", Unreachable, "4.3.2"),
        ("RCPT", "451 4.7.1 please try again in 300 seconds", TransientError, "4.7.1"),
        ("RCPT", "451 Greylisted, try later", TransientError, "Greylisted"),
        ("RCPT", "451 4.3.0 lookup of aliases failed", Unreachable, "4.3.0"),
        ("RCPT", "451 local error in processing", Unreachable, "local error"),
        ("RCPT", "451 4.4.5 congested", Unreachable, "4.4.5"),
        ("RCPT", "451 4.4.1 no answer from example.com", TransientError, "4.4.1"),
        ("RCPT", "452 4.2.2 mailbox is full", TransientError, "4.2.2"),
        ("RCPT", "452 4.3.1 no room", Unreachable, "4.3.1"),
        ("RCPT", "550 no such user", Rejected, "550 no such user"),
        ("DATA", "451 4.3.0 filter is down", Unreachable, "4.3.0"),
        ("DATA", "451 4.7.1 put off", TransientError, "4.7.1"),
        ("DATA", "452 disk full", Unreachable, "452 disk full"),
        ("DATA", "421 4.3.2 shutting down", Unreachable, "421"),
        ("DATA", "554 looks like spam", Rejected, "554 looks like spam"),
        ("RCPT", "421 closing", Unreachable, "421"),
    ],
)
def test_what_a_reply_means_and_the_next_mail_goes_out(
    make: Settings, authority: trustme.CA, step: str, reply: str, kind: type[Exception], words: str
) -> None:
    office = Office(replies={step: [reply]})
    with serving(office, authority, "starttls") as port:
        target = opened(make(port))
        with pytest.raises(kind, match=words) as error:
            target.send(delivery(due("1")), None)
        assert type(error.value) is kind
        assert not getattr(error.value, "may_be_done", False)
        target.send(delivery(due("2")), None)
        close(target)
    assert len(office.mails) == 1


class _Doorman(socketserver.StreamRequestHandler):
    """A mail server that says the same to everybody who comes."""

    says: bytes

    def handle(self) -> None:
        self.wfile.write(self.says + b"\r\n")
        self.rfile.readline()


@pytest.mark.parametrize(
    "says",
    ["421 4.3.2 closed for an hour", "450 4.3.2 not now", "451 4.3.0 no", "452 full", "554 no service here"],
)
def test_a_server_that_lets_nobody_in_is_down_for_every_mail(make: Settings, says: str) -> None:
    handler = type("Says", (_Doorman,), {"says": says.encode()})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        with pytest.raises(Unreachable, match=f"the mail server answered {says}") as error:
            opened(make(server.server_address[1])).send(delivery(due()), None)
        server.shutdown()
    assert not error.value.may_be_done


def test_a_connection_that_died_between_two_mails_is_created_anew(
    make: Settings, authority: trustme.CA
) -> None:
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
        outbox.enqueue([due(str(number)) for number in range(20)], NOW, settings)
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
        with pytest.raises(DestinationUnavailable, match="certificate that is not to be trusted"):
            opened(settings).send(delivery(due()), None)
    assert office.mails == []


def test_never_less_encryption_than_was_asked_for(make: Settings, authority: trustme.CA) -> None:
    office = Office()
    with serving(office, authority, "none", auth_require_tls=False) as port:
        with pytest.raises(DestinationUnavailable, match="AFTERCALL_SMTP_SECURITY=starttls"):
            opened(make(port)).send(delivery(due()), None)
        with pytest.raises(DestinationUnavailable, match="AFTERCALL_SMTP_SECURITY=starttls"):
            opened(make(port, smtp_security="tls")).send(delivery(due()), None)
    assert office.mails == []


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_hangs_is_left(make: Settings, authority: trustme.CA, step: str) -> None:
    office = Office(hang_at=step)
    with serving(office, authority, "starttls") as port:
        with pytest.raises(TransientError, match=r"silent for 0\.3 s"):
            opened(make(port, smtp_seconds=0.3)).send(delivery(due()), None)
        with pytest.raises(TransientError, match=r"within 0\.3 s"):
            opened(make(port, smtp_whole_seconds=0.3)).send(delivery(due()), None)


def test_a_mail_that_was_given_up_is_not_sent_behind_ones_back(make: Settings, authority: trustme.CA) -> None:
    office = Office(slow_at="RCPT")
    with serving(office, authority, "starttls") as port:
        with pytest.raises(TransientError, match=r"within 0\.3 s"):
            opened(make(port, smtp_whole_seconds=0.3)).send(delivery(due("1")), None)
        # Two mails that take as long: by then the one that was given up would be there too.
        sent = [opened(make(port)).send(delivery(due(number)), None) for number in ("2", "3")]
    assert [mail["Message-ID"] for mail in office.mails] == sent


def test_nobody_listens_and_no_server_is_named(make: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransientError, match="Connection refused"):
        opened(make(port)).send(delivery(due()), None)
    with pytest.raises(DestinationUnavailable, match="set AFTERCALL_SMTP_HOST"):
        opened(make(port, smtp_host=""))
    with pytest.raises(DestinationUnavailable, match="AFTERCALL_SMTP_CA_FILE"):
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
        outbox.enqueue([due()], NOW, settings)
        assert dispatch(outbox, "email", settings, now=NOW).retrying == 1
        outbox.retry(due().action_key)
        names = (
            "home", "emails", "smtp_host", "smtp_port", "smtp_ca_file", "email_from_address",
            "email_allow_example_domains",
        )  # fmt: skip
        values = {**settings.of(SmtpSettings).model_dump(), **settings.model_dump()}
        environment = {f"AFTERCALL_{name.upper()}": str(values[name]) for name in names}
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
                with pytest.raises(Unsendable, match="SMTPUTF8"):
                    target.send(delivery(row), None)
            close(target)


def looked(make: Settings, port: int, **changes: Any) -> dict[str, tuple[bool, str]]:
    login: dict[str, Any] = {"smtp_username": "ada", "smtp_password": "hunter2"}
    target = opened(make(port, **(login | changes)))
    assert isinstance(target, SupportsCheck)
    return {result.name: (result.is_fine, result.message) for result in target.check()}


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_look_connects_encrypts_and_logs_in_but_begins_no_mail(
    make: Settings, authority: trustme.CA, security: str
) -> None:
    office = Office()
    with serving(office, authority, security) as port:
        results = looked(make, port, smtp_security=security)
        wrong = looked(make, port, smtp_security=security, smtp_username="bob")
    assert all(fine for fine, _ in results.values()), results
    assert results["encryption"][1].startswith("TLSv1.")
    assert results["login"][1] == "ada is taken"
    assert results["templates"][1] == "3 mails in ar, de, en, es"
    assert [session.authenticated for session in office.seen] == [True]
    assert (office.mails, office.options) == ([], [])
    assert wrong["mail server"][0] is False
    assert "AFTERCALL_SMTP_USERNAME" in wrong["mail server"][1]
    assert "login" not in wrong


def test_a_look_says_what_is_missing(make: Settings, authority: trustme.CA, tmp_path: Path) -> None:
    broken = tmp_path / "email_templates" / "de" / "thank_you.j2"
    broken.parent.mkdir(parents=True)
    broken.write_text("{% extends 'de/base.j2' %}\n{% block body %}\n{{ nmae }}{% endblock %}")
    with serving(Office(), authority, "starttls", name="mail.example") as port:
        results = looked(make, port, email_allow_example_domains=False)
    assert "certificate that is not to be trusted" in results["mail server"][1]
    assert results["sender"] == (
        False,
        "help@shop.example.com cannot send mail: set AFTERCALL_EMAIL_FROM_ADDRESS",
    )
    assert results["templates"] == (False, f"the e-mail template {broken}, line 3: 'nmae' is undefined")
    unknown = looked(make, port, brand_color="red")["brand"]
    assert unknown == (False, "AFTERCALL_BRAND_COLOR takes a colour such as #2b59c3, not 'red'")


def test_how_much_the_server_takes_is_what_the_settings_say(make: Settings) -> None:
    assert opened(make(1)).limits == Limits(3)  # type: ignore[attr-defined]
    exchange = opened(make(1, smtp_connections=2, smtp_per_second=0.5))
    assert exchange.limits == Limits(2, 0.5)  # type: ignore[attr-defined]
