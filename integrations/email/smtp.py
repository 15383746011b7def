"""Mail over SMTP: one connection per pass, encrypted unless the settings say otherwise.

    AFTERCALL_EMAILS=smtp
    AFTERCALL_SMTP_HOST=smtp.example.com
    AFTERCALL_SMTP_USERNAME=…
    AFTERCALL_SMTP_PASSWORD=…

A mail server cannot say what it has sent. Every try of an action carries the same Message-ID, by which mailboxes
recognise a repeat. What a mail says belongs to `rendering`, who gets none to `recipients`, what an error means to
`smtp_errors`.
"""

import smtplib
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr

from integrations.config import DestinationSettings, IntegrationSettings
from integrations.deadline import DeadlineExceeded, within
from integrations.destinations import CannotBeAsked, CheckResult, Delivery, Limits
from integrations.email.checking import content
from integrations.email.recipients import permitted
from integrations.email.smtp_errors import CLOSING, failure, replied
from integrations.errors import DestinationUnavailable, Unreachable, Unsendable


class SmtpSettings(DestinationSettings):
    """Settings of this destination; each is `AFTERCALL_` and the field's name."""

    smtp_host: str = Field("", description="Mail server of AFTERCALL_EMAILS=smtp.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port: 587 with starttls, 465 with tls.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="starttls, tls (from the first byte) or none; never less than what is said."
    )
    smtp_username: str = Field("", description="Name to log in with; empty: no login.")
    smtp_password: SecretStr = Field(SecretStr(""), description="Password to log in with.")
    smtp_ca_file: Path | None = Field(
        None, description="CA certificates (PEM) to trust instead of the system's."
    )
    smtp_connections: int = Field(
        3, ge=1, le=50, description="Most connections to the mail server at a time; Exchange Online allows 3."
    )
    smtp_per_second: float | None = Field(
        None, gt=0, description="Most mails a second; Exchange Online takes 0.5. Default: no such limit."
    )
    smtp_seconds: float = Field(30.0, gt=0, description="Longest silence of the mail server, in seconds.")


def open_destination(settings: IntegrationSettings) -> "SmtpDestination":
    """The mail server that the settings name."""
    return SmtpDestination(settings)


class SmtpDestination(CannotBeAsked):
    """A mail server, connected when the first mail goes out.

    Raises:
        DestinationUnavailable: if no server is named.
    """

    name = "smtp"

    def __init__(self, settings: IntegrationSettings) -> None:
        self._smtp = settings.of(SmtpSettings)
        if not self._smtp.smtp_host:
            raise DestinationUnavailable("set AFTERCALL_SMTP_HOST to the name of your mail server")
        self._settings = settings
        self._connection = _Connection(self._smtp)
        self.limits = Limits(self._smtp.smtp_connections, self._smtp.smtp_per_second)

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Hand the mail over; returns its Message-ID."""
        mail, connection = permitted(delivery, self._settings), self._connection
        try:
            within(self._settings.smtp_whole_seconds, partial(connection.hand_over, mail))
        except DeadlineExceeded:
            # Its thread still holds the connection, and must not send any more.
            connection.is_given_up, is_begun = True, connection.is_begun
            self._connection = _Connection(self._smtp)
            raise Unreachable(
                f"the mail server did not take the mail within {self._settings.smtp_whole_seconds:g} s",
                may_be_done=is_begun,
            ) from None
        except OSError as error:
            raise self._failure(error) from None
        return str(mail["Message-ID"])

    def knock(self) -> None:
        """Return if the server answers; begins no mail. Raises Unreachable."""
        try:
            within(self._settings.smtp_whole_seconds, self._connection.look)
        except OSError as error:
            # A login that is refused is an answer; the next mail will say so.
            if isinstance(kind := self._failure(error), Unreachable):
                raise kind from None

    def body(self, delivery: Delivery, external_id: str | None) -> str:
        """The message as it goes over the wire."""
        return permitted(delivery, self._settings).as_string()

    def check(self) -> Iterator[CheckResult]:
        """Whether the server is reached, encrypted as the settings say, and takes the login; no mail is begun."""
        smtp = self._smtp
        try:
            encryption = within(self._settings.smtp_whole_seconds, self._connection.look)
        except DestinationUnavailable as error:
            yield CheckResult("mail server", False, str(error))
        except OSError as error:
            yield CheckResult("mail server", False, str(self._failure(error)))
        else:
            yield CheckResult("mail server", True, f"{smtp.smtp_host}:{smtp.smtp_port} answers")
            yield CheckResult("encryption", True, encryption or "none, as AFTERCALL_SMTP_SECURITY says")
            login = f"{smtp.smtp_username} is taken" if smtp.smtp_username else "none is configured"
            yield CheckResult("login", True, login)
        finally:
            self.close()
        yield from content(self._settings)

    def close(self) -> None:
        """Say goodbye to the server."""
        try:
            within(5, self._connection.leave)
        except OSError:
            self._connection.drop()

    def _failure(self, error: OSError) -> Exception:
        """The failure kind of one of smtplib's errors; the connection is kept only if the server replied."""
        if replied(error) is None:
            self._connection.drop()
        kind = failure(error, self._smtp.smtp_security, self._smtp.smtp_seconds)
        if isinstance(kind, Unreachable) and not self._connection.is_begun:
            kind.may_be_done = False
        return kind


class _Connection:
    """A connection that is made when it is needed, and made anew when the server has closed it."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._server: _Server | None = None
        self.is_given_up = False
        # Whether the text of the last mail was on its way: before, nothing can have been sent.
        self.is_begun = False

    def hand_over(self, mail: EmailMessage) -> None:
        """Return when the server has taken the mail."""
        self.is_begun, is_old = False, self._server is not None
        try:
            self._send(mail)
        except OSError as error:
            if replied(error) not in (None, CLOSING):
                raise
            self.drop()
            # The server may have closed a connection since the mail before. Nothing was sent: try a new one.
            if not is_old or self.is_begun:
                raise
            self._send(mail)

    def begin(self) -> None:
        """Note that the text of the mail goes out now. Raises SMTPServerDisconnected if the mail was given up."""
        if self.is_given_up:
            raise smtplib.SMTPServerDisconnected("the mail was given up")
        self.is_begun = True

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

    def _send(self, mail: EmailMessage) -> None:
        server = self._server = self._server or self._connect()
        sender, recipient = (str(mail[name].addresses[0].addr_spec) for name in ("From", "To"))
        is_8bit = server.has_extn("8bitmime")
        mail.policy = mail.policy.clone(cte_type="8bit" if is_8bit else "7bit")
        # For letters beyond ASCII in an address, smtplib names both extensions itself.
        options = ["BODY=8BITMIME"] if is_8bit and (sender + recipient).isascii() else []
        try:
            server.send_message(mail, sender, [recipient], options)
        except smtplib.SMTPNotSupportedError:
            raise Unsendable(
                "the mail server does not take addresses with letters beyond ASCII (SMTPUTF8)"
            ) from None

    def _connect(self) -> "_Server":
        settings = self._settings
        where = (settings.smtp_host, settings.smtp_port)
        if settings.smtp_security == "tls":
            server: _Server = _TlsServer(*where, timeout=settings.smtp_seconds, context=_trust(settings))
        else:
            server = _Server(*where, timeout=settings.smtp_seconds)
        server.on_data = self.begin
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


class _Server(smtplib.SMTP):
    """Calls `on_data` before the text of a mail goes out: the one step that smtplib does not tell of."""

    on_data: Callable[[], None]

    def data(self, msg: Any) -> tuple[int, bytes]:
        """DATA."""
        self.on_data()
        return super().data(msg)


class _TlsServer(_Server, smtplib.SMTP_SSL):
    """A server that speaks TLS from the first byte."""


def _trust(settings: SmtpSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.smtp_ca_file)
    except OSError:
        raise DestinationUnavailable(
            "AFTERCALL_SMTP_CA_FILE is not a readable file of certificates (PEM)"
        ) from None
