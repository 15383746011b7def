"""What smtplib's errors mean: for all mail, for one recipient, or for the settings.

How a mail is handed over belongs to `smtp`.
"""

import re
import smtplib
import ssl

from integrations.errors import (
    DestinationUnavailable,
    Rejected,
    TransientError,
    Unreachable,
    is_no_connection,
)
from integrations.http import QUOTED
from integrations.rendering import line

# The server wants a login, another one, or encryption (RFC 4954); no mail will get through.
_LOGIN = frozenset({530, 534, 535, 538})
_TOO_LARGE = 552
CLOSING = 421
# RFC 3463: what a 4xx concerns. The mail system and a congested one (4.3.x, 4.4.5) are everybody's.
_ENHANCED = re.compile(r"4\.(\d{1,3})\.(\d{1,3})\b")
_OF_THE_SYSTEM, _CONGESTED = ("3",), ("4", "5")
# Without such a code: an error of the server itself, and no room left. A 450 is of one mailbox (RFC 5321, 4.2.3).
_ITS_OWN_TROUBLE = frozenset({421, 431, 432, 451, 452, 454})
# Putting off a sender whom the server does not know yet: for one recipient, and over within minutes.
_GREYLISTED = re.compile(r"gr[ae]y-?\s?list", re.I)


def replied(error: OSError) -> int | None:
    """The code of the server's reply; None if there was none."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        # One mail has one recipient.
        return int(next(iter(error.recipients.values()))[0])
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None


def failure(error: OSError, security: str, silence: float) -> Exception:
    """The failure kind of an error of smtplib or of the network.

    Args:
        error: the error.
        security: AFTERCALL_SMTP_SECURITY.
        silence: AFTERCALL_SMTP_SECONDS.
    """
    match error:
        case smtplib.SMTPSenderRefused():
            return _reply_error("did not take the sender", error.smtp_code, error.smtp_error, is_sender=True)
        case smtplib.SMTPRecipientsRefused():
            return _reply_error("did not take the recipient", *next(iter(error.recipients.values())))
        case smtplib.SMTPDataError():
            return _reply_error("did not take the mail", error.smtp_code, error.smtp_error)
        case smtplib.SMTPAuthenticationError() if error.smtp_code >= 500:
            return DestinationUnavailable(
                f"the mail server refuses the login: {error.smtp_code} {_words(error.smtp_error)}. "
                "Look at AFTERCALL_SMTP_USERNAME and AFTERCALL_SMTP_PASSWORD"
            )
        case smtplib.SMTPResponseException():
            # Before any mail was begun: at the connection, the greeting, the encryption or the login.
            return Unreachable(f"the mail server answered {error.smtp_code} {_words(error.smtp_error)}")
        case ssl.SSLCertVerificationError():
            return DestinationUnavailable(
                f"the mail server shows a certificate that is not to be trusted ({error.verify_message}); nothing was "
                "sent. Look at AFTERCALL_SMTP_HOST, or name your CA in AFTERCALL_SMTP_CA_FILE"
            )
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
            return DestinationUnavailable(
                "the mail server does not speak TLS on this port: use AFTERCALL_SMTP_SECURITY=starttls (port 587) "
                "or the port for tls (465)"
            )
    if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
        return DestinationUnavailable(
            f"the mail server does not offer what AFTERCALL_SMTP_SECURITY={security} or the login needs: "
            f"{line(error, QUOTED)}"
        )
    # smtplib wraps the one in the other while it reads a reply.
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return Unreachable(f"the mail server was silent for {silence:g} s", may_be_done=True)
    return Unreachable(
        f"the connection to the mail server failed ({getattr(error, 'strerror', None) or line(error, 100)})",
        may_be_done=not is_no_connection(error),
    )


def _reply_error(step: str, code: int, reply: bytes | str, *, is_sender: bool = False) -> Exception:
    """The failure kind of a reply: 4xx passes, 5xx does not; all mail needs server, login and sender."""
    message = f"the mail server {step}: {code} {_words(reply)}"
    if code in _LOGIN:
        return DestinationUnavailable(f"{message}. Look at AFTERCALL_SMTP_USERNAME, _PASSWORD and _SECURITY")
    if code < 500:
        is_of_all = is_sender or _concerns_all(code, _words(reply))
        return Unreachable(message) if is_of_all else TransientError(message)
    if is_sender and code != _TOO_LARGE:
        return DestinationUnavailable(
            f"{message}. Look at AFTERCALL_EMAIL_FROM_ADDRESS, and at what your mail server lets you send"
        )
    return Rejected(message)


def _concerns_all(code: int, words: str) -> bool:
    """True if a 4xx to one recipient or mail is the server's own trouble, so that the next mail would meet it too."""
    enhanced = _ENHANCED.match(words)
    if code == CLOSING or enhanced is None:
        return code in _ITS_OWN_TROUBLE and not (code != CLOSING and _GREYLISTED.search(words))
    return enhanced[1] in _OF_THE_SYSTEM or enhanced.groups() == _CONGESTED


def _words(reply: bytes | str) -> str:
    return line(reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply, QUOTED)
