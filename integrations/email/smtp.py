"""Mail over SMTP: one connection for a pass, encrypted unless somebody said otherwise.

    AFTERCALL_EMAILS=smtp
    AFTERCALL_SMTP_HOST=smtp.example.com
    AFTERCALL_SMTP_USERNAME=…
    AFTERCALL_SMTP_PASSWORD=…

A mail server cannot be asked what it has sent. Every try of an action carries the same Message-ID, by which
mailboxes recognise a repeat. What a mail says is `rendering`, who gets none is `recipients`.
"""

import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from functools import partial

from integrations.config import IntegrationSettings
from integrations.deadline import DeadlineExceeded, within
from integrations.destinations import CheckResult, Delivery, Limits
from integrations.email.checking import content
from integrations.email.recipients import check
from integrations.email.rendering import message
from integrations.email.smtp_replies import CLOSING, connection_error, reply_error
from integrations.errors import DestinationUnavailable, Unreachable, Unsendable


def open_destination(settings: IntegrationSettings) -> "SmtpDestination":
    """The mail server that the settings name."""
    return SmtpDestination(settings)


class SmtpDestination:
    """A mail server, connected when the first mail goes out.

    Raises:
        Paused: if no server is named.
    """

    name = "smtp"
    can_be_asked = False

    def __init__(self, settings: IntegrationSettings) -> None:
        if not settings.smtp_host:
            raise DestinationUnavailable("set AFTERCALL_SMTP_HOST to the name of your mail server")
        self._settings = settings
        self._connection = _Connection(settings)
        self.limits = Limits(settings.smtp_connections, settings.smtp_per_second)

    def find(self, delivery: Delivery) -> str | None:
        """Always None: a mail server cannot be asked."""
        return None

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Hand the mail over; returns its Message-ID."""
        mail = self._mail(delivery)
        try:
            within(self._settings.smtp_whole_seconds, partial(self._connection.hand_over, mail))
        except DeadlineExceeded:
            # Its thread still holds the connection, and must not send any more.
            self._connection.is_left, is_begun = True, self._connection.is_begun
            self._connection = _Connection(self._settings)
            raise Unreachable(
                f"the mail server did not take the mail within {self._settings.smtp_whole_seconds:g} s",
                may_be_done=is_begun,
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            self._connection.drop()
            kind = connection_error(error, self._settings)
            if isinstance(kind, Unreachable) and not self._connection.is_begun:
                kind.may_be_done = False
            raise kind from None
        return str(mail["Message-ID"])

    def knock(self) -> None:
        """Return if the server answers; begins no mail. Raises Unreachable."""
        try:
            within(self._settings.smtp_whole_seconds, self._connection.look)
        except (smtplib.SMTPException, OSError) as error:
            self._connection.drop()
            # A login that is refused is an answer; the next mail will say so.
            if isinstance(kind := connection_error(error, self._settings), Unreachable):
                raise kind from None

    def body(self, delivery: Delivery, external_id: str | None) -> str:
        """The message as it goes over the wire."""
        return self._mail(delivery).as_string()

    def _mail(self, delivery: Delivery) -> EmailMessage:
        mail = message(delivery, self._settings)
        check(mail, delivery, self._settings)
        return mail

    def check(self) -> Iterator[CheckResult]:
        """Whether the server is reached, encrypted as the settings say, and takes the login; no mail is begun."""
        settings = self._settings
        try:
            seen = within(settings.smtp_whole_seconds, self._connection.look)
        except DestinationUnavailable as error:
            yield CheckResult("mail server", False, str(error))
        except (smtplib.SMTPException, OSError) as error:
            yield CheckResult("mail server", False, str(connection_error(error, settings)))
        else:
            yield CheckResult("mail server", True, f"{settings.smtp_host}:{settings.smtp_port} answers")
            yield CheckResult("encryption", True, seen or "none, as AFTERCALL_SMTP_SECURITY says")
            login = f"{settings.smtp_username} is taken" if settings.smtp_username else "none is configured"
            yield CheckResult("login", True, login)
        finally:
            self.close()
        yield from content(settings)

    def close(self) -> None:
        """Say goodbye to the server."""
        try:
            within(5, self._connection.leave)
        except (smtplib.SMTPException, OSError):
            self._connection.drop()


class _Connection:
    """A connection that is made when it is needed, and made anew when the server has closed it."""

    def __init__(self, settings: IntegrationSettings) -> None:
        self._settings = settings
        self._server: smtplib.SMTP | None = None
        self.is_left = False
        # Whether the text of the last mail was on its way: before, nothing can have been sent.
        self.is_begun = False

    def hand_over(self, mail: EmailMessage) -> None:
        """Sender, recipient, mail; returns when the server has taken it."""
        self.is_begun = False
        server, options = self._begin(mail)
        recipient = str(mail["To"].addresses[0].addr_spec)
        code, reply = server.rcpt(recipient, [])
        if code not in (250, 251):
            _reset(server)
            raise reply_error("did not take the recipient", code, reply)
        policy = mail.policy.clone(cte_type="8bit" if "BODY=8BITMIME" in options else "7bit")
        if self.is_left:
            server.close()
            return
        self.is_begun = True
        code, reply = server.data(mail.as_bytes(policy=policy))
        if code != 250:
            _reset(server)
            raise reply_error("did not take the mail", code, reply)

    def _begin(self, mail: EmailMessage) -> tuple[smtplib.SMTP, list[str]]:
        """Connection and options of a mail that the server is ready to take.

        A connection kept from the mail before may be dead by now; nothing was sent, so a new one is tried at once.
        """
        sender = str(mail["From"].addresses[0].addr_spec)
        while True:
            kept, server = self._server is not None, self._server or self._connect()
            self._server = server
            options = _options(server, mail)
            try:
                code, reply = server.mail(sender, options)
            except (smtplib.SMTPServerDisconnected, OSError):
                self.drop()
                if not kept:
                    raise
                continue
            if code == CLOSING:
                self.drop()
                if kept:
                    continue
            if code != 250:
                _reset(server)
                raise reply_error("did not take the sender", code, reply, is_sender=True)
            return server, options

    def look(self) -> str:
        """Connect, encrypt, log in, and ask for nothing; the version of TLS, or nothing."""
        server = self._server = self._connect()
        code, reply = server.noop()
        if code != 250:
            raise smtplib.SMTPResponseException(code, reply)
        return (server.sock.version() or "") if isinstance(server.sock, ssl.SSLSocket) else ""

    def leave(self) -> None:
        """Say goodbye."""
        if self._server is not None:
            self._server.quit()
            self._server = None

    def drop(self) -> None:
        """Close it without a word."""
        if self._server is not None:
            self._server.close()
        self._server = None

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        where = (settings.smtp_host, settings.smtp_port)
        if settings.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                *where, timeout=settings.smtp_seconds, context=_trust(settings)
            )
        else:
            server = smtplib.SMTP(*where, timeout=settings.smtp_seconds)
        try:
            if settings.smtp_security == "starttls":
                server.starttls(context=_trust(settings))
            server.ehlo_or_helo_if_needed()
            if settings.smtp_username:
                server.login(settings.smtp_username, settings.smtp_password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server


def _trust(settings: IntegrationSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.smtp_ca_file)
    except OSError:
        raise DestinationUnavailable(
            "AFTERCALL_SMTP_CA_FILE is not a readable file of certificates (PEM)"
        ) from None


def _options(server: smtplib.SMTP, mail: EmailMessage) -> list[str]:
    options = ["BODY=8BITMIME"] if server.has_extn("8bitmime") else []
    if getattr(mail.policy, "utf8", False):
        if not server.has_extn("smtputf8"):
            raise Unsendable("the mail server does not take addresses with letters beyond ASCII (SMTPUTF8)")
        options.append("SMTPUTF8")
    return options


def _reset(server: smtplib.SMTP) -> None:
    # The mail is over; the connection is good for the next one, or found to be dead by it.
    try:
        server.rset()
    except (smtplib.SMTPException, OSError):
        server.close()
