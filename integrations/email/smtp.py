"""Mail over SMTP: one connection for a pass, encrypted unless somebody said otherwise.

    AFTERCALL_EMAILS=smtp
    AFTERCALL_SMTP_HOST=smtp.example.com
    AFTERCALL_SMTP_USERNAME=…
    AFTERCALL_SMTP_PASSWORD=…

A mail server cannot be asked what it has sent. Every try of an action carries the same Message-ID, by which
mailboxes recognise a repeat. What a mail says is `rendering`, who gets none is `recipients`.
"""

import re
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from functools import partial

from integrations.config import IntegrationSettings
from integrations.deadline import DeadlineExceeded, within
from integrations.destinations import Delivery, Finding, Limits
from integrations.email.checking import content
from integrations.email.recipients import check
from integrations.email.rendering import message
from integrations.errors import Paused, Refused, Retryable, Unreachable, Unsendable, is_no_connection
from integrations.http import QUOTED
from integrations.rendering import line

# The server wants a login, another one, or encryption (RFC 4954); no mail will get through.
_LOGIN = frozenset({530, 534, 535, 538})
_TOO_LARGE = 552
_CLOSING = 421
# RFC 3463: what a 4xx concerns. The mail system and a congested one (4.3.x, 4.4.5) are everybody's.
_ENHANCED = re.compile(r"4\.(\d{1,3})\.(\d{1,3})\b")
_OF_THE_SYSTEM, _CONGESTED = ("3",), ("4", "5")
# Without such a code: an error of the server itself, and no room left. A 450 is of one mailbox (RFC 5321, 4.2.3).
_ITS_OWN_TROUBLE = frozenset({421, 431, 432, 451, 452, 454})
# Putting off a sender whom the server does not know yet: for one recipient, and over within minutes.
_GREYLISTED = re.compile(r"gr[ae]y-?\s?list", re.I)


def open_destination(settings: IntegrationSettings) -> "SmtpDestination":
    """The mail server that the settings name."""
    return SmtpDestination(settings)


class SmtpDestination:
    """A mail server, connected when the first mail goes out.

    Raises:
        Paused: if no server is named.
    """

    name = "smtp"

    def __init__(self, settings: IntegrationSettings) -> None:
        if not settings.smtp_host:
            raise Paused("set AFTERCALL_SMTP_HOST to the name of your mail server")
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
            self._connection.is_left = True
            self._connection = _Connection(self._settings)
            raise Unreachable(
                f"the mail server did not take the mail within {self._settings.smtp_whole_seconds:g} s",
                may_be_done=True,
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            self._connection.drop()
            raise _kind(error, self._settings) from None
        return str(mail["Message-ID"])

    def body(self, delivery: Delivery, external_id: str | None) -> str:
        """The message as it goes over the wire."""
        return self._mail(delivery).as_string()

    def _mail(self, delivery: Delivery) -> EmailMessage:
        mail = message(delivery, self._settings)
        check(mail, delivery, self._settings)
        return mail

    def check(self) -> Iterator[Finding]:
        """Whether the server is reached, encrypted as the settings say, and takes the login; no mail is begun."""
        settings = self._settings
        try:
            seen = within(settings.smtp_whole_seconds, self._connection.look)
        except Paused as error:
            yield Finding("mail server", False, str(error))
        except (smtplib.SMTPException, OSError) as error:
            yield Finding("mail server", False, str(_kind(error, settings)))
        else:
            yield Finding("mail server", True, f"{settings.smtp_host}:{settings.smtp_port} answers")
            yield Finding("encryption", True, seen or "none, as AFTERCALL_SMTP_SECURITY says")
            login = f"{settings.smtp_username} is taken" if settings.smtp_username else "none is configured"
            yield Finding("login", True, login)
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

    def hand_over(self, mail: EmailMessage) -> None:
        """Sender, recipient, mail; returns when the server has taken it."""
        server, options = self._begin(mail)
        recipient = str(mail["To"].addresses[0].addr_spec)
        code, reply = server.rcpt(recipient, [])
        if code not in (250, 251):
            _reset(server)
            raise _reply("did not take the recipient", code, reply)
        policy = mail.policy.clone(cte_type="8bit" if "BODY=8BITMIME" in options else "7bit")
        if self.is_left:
            server.close()
            return
        code, reply = server.data(mail.as_bytes(policy=policy))
        if code != 250:
            _reset(server)
            raise _reply("did not take the mail", code, reply)

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
            if code == _CLOSING:
                self.drop()
                if kept:
                    continue
            if code != 250:
                _reset(server)
                raise _reply("did not take the sender", code, reply, is_sender=True)
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
        raise Paused("AFTERCALL_SMTP_CA_FILE is not a readable file of certificates (PEM)") from None


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


def _reply(what: str, code: int, reply: bytes | str, *, is_sender: bool = False) -> Exception:
    """The failure kind of a reply: 4xx passes, 5xx does not; all mail needs server, login and sender."""
    told = f"the mail server {what}: {code} {_words(reply)}"
    if code in _LOGIN:
        return Paused(f"{told}. Look at AFTERCALL_SMTP_USERNAME, _PASSWORD and _SECURITY")
    if code < 500:
        is_of_all = is_sender or _concerns_all(code, _words(reply))
        return Unreachable(told) if is_of_all else Retryable(told)
    if is_sender and code != _TOO_LARGE:
        return Paused(
            f"{told}. Look at AFTERCALL_EMAIL_FROM_ADDRESS, and at what your mail server lets you send"
        )
    return Refused(told)


def _concerns_all(code: int, words: str) -> bool:
    """True if a 4xx to one recipient or mail is the server's own trouble, so that the next mail would meet it too."""
    enhanced = _ENHANCED.match(words)
    if code == _CLOSING or enhanced is None:
        return code in _ITS_OWN_TROUBLE and not (code != _CLOSING and _GREYLISTED.search(words))
    return enhanced[1] in _OF_THE_SYSTEM or enhanced.groups() == _CONGESTED


def _words(reply: bytes | str) -> str:
    return line(reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply, QUOTED)


def _kind(error: Exception, settings: IntegrationSettings) -> Exception:
    """What went wrong before or between replies."""
    if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= 500:
        told = _words(error.smtp_error)
        return Paused(
            f"the mail server refuses the login: {error.smtp_code} {told}. "
            "Look at AFTERCALL_SMTP_USERNAME and AFTERCALL_SMTP_PASSWORD"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return Paused(
            f"the mail server shows a certificate that is not to be trusted ({error.verify_message}); nothing was "
            "sent. Look at AFTERCALL_SMTP_HOST, or name your CA in AFTERCALL_SMTP_CA_FILE"
        )
    if isinstance(error, smtplib.SMTPDataError):
        return _reply("did not take the mail", error.smtp_code, error.smtp_error)
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return Paused(
            "the mail server does not speak TLS on this port: use AFTERCALL_SMTP_SECURITY=starttls (port 587) "
            "or the port for tls (465)"
        )
    if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
        return Paused(
            f"the mail server does not offer what AFTERCALL_SMTP_SECURITY={settings.smtp_security} or the login "
            f"needs: {line(error, QUOTED)}"
        )
    if isinstance(error, smtplib.SMTPResponseException):
        told = _words(error.smtp_error)
        # Before any mail was begun: at the connection, the greeting, the encryption or the login.
        return Unreachable(f"the mail server answered {error.smtp_code} {told}")
    # smtplib wraps the one in the other while it reads a reply.
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return Unreachable(f"the mail server was silent for {settings.smtp_seconds:g} s", may_be_done=True)
    return Unreachable(
        f"the connection to the mail server failed ({getattr(error, 'strerror', None) or line(error, 100)})",
        may_be_done=not is_no_connection(error),
    )
