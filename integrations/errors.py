"""What a destination may say went wrong, what that says of the system, and how much of it may be written down.

A destination raises one of these; anything else that escapes from it counts as `TransientError`.
What follows from an error (when to try again, when to give up) belongs to `integrations.outbox`.

| raised | speaks of | its destination |
|---|---|---|
| `Unreachable`, `RateLimited`, `DestinationUnavailable` | the system | stops, at once or after a few |
| `Rejected`, `NotFound`, `Forbidden` | the record, in the system's words | stops after many in a row |
| `TransientError` itself | the record, for now: a lock, a full mailbox | goes on |
| `Unsendable`, `Suppressed` | the record, in our words: the system was not asked | goes on; they are no part of a row |
"""

import errno
import re
import socket
from datetime import timedelta

from pydantic import SecretStr
from pydantic_settings import BaseSettings

ERROR_LIMIT = 2_000
FORBIDDEN_WAIT = timedelta(hours=1)
# Longer texts are cut before they are searched for secrets; what is written of them is far shorter.
_LONGEST_SEARCHED = 65_536

# Each must take linear time: the text may be a stranger's. So none begins with a repetition.
_CREDENTIALS = (
    re.compile(r"(?P<keep>://)[^/\s:@]*:[^/\s@]+(?=@)"),
    re.compile(r"(?P<keep>\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}", re.I),
    re.compile(
        r"(?P<keep>(?:password|passwd|secret|token|api[_-]?key|authorization)[\"']?\s*[=:]\s*[\"']?)"
        r"(?!bearer\b|basic\b)[^\s\"'&,;]{3,}",
        re.I,
    ),
    re.compile(r"(?P<keep>hooks\.slack\.com/services/)\S+", re.I),
    re.compile(r"(?P<keep>)\bxox[a-z]-[\w-]{8,}"),
)


class Rejected(Exception):
    """The system will never take this action as it is: the action is dead, unless the system refuses all others too.

    Args:
        message: what happened, without secrets.
        details: the system's whole answer, to look up which part of the record it speaks of. Never shown.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class Unsendable(Rejected):
    """aftercall itself refuses the action, before any system is asked: this says nothing of the system.

    The action is dead. The refusal is no part of a row of refusals, and does not end one.
    """


class NotFound(Rejected):
    """The record to be updated does not exist any more: it is looked for again, and created anew if it is nowhere."""


class TransientError(Exception):
    """The record failed now and may work later: somebody holds a lock, or one mailbox is full.

    The action uses up a try. What says that the system as a whole does not work is `Unreachable`.

    Args:
        message: what happened, without secrets.
        after: how long the system asks to wait (its `Retry-After`); the backoff may wait longer.
    """

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class Forbidden(TransientError):
    """The key may not do this (403): perhaps this one record or place, perhaps nothing at all.

    The action uses up a try and waits long, because only a person can give the right. Many in a row stop the
    destination, and then wait with the others.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, FORBIDDEN_WAIT)


class Unreachable(TransientError):
    """The system does not work now, whatever the record.

    There is no connection or no answer, an error of its own (every 5xx, 408, 425), a page where data was promised, or a
    mail server puts everybody off. Several in a row stop the destination, because a system that is down must not cost
    the actions their tries.

    Args:
        message: what happened, without secrets.
        after: how long the system asks to wait.
        may_be_done: the request had left and no answer says what became of it. False: the system did not get it, or
            says itself that it did not carry it out.
        is_answered: somebody answered in the system's place, say a gateway: that counts as a failed try, not as one
            without an end.
    """

    def __init__(
        self,
        message: str,
        after: timedelta | None = None,
        *,
        may_be_done: bool = False,
        is_answered: bool = False,
    ) -> None:
        super().__init__(message, after)
        self.may_be_done, self.is_answered = may_be_done, is_answered

    @property
    def is_lost(self) -> bool:
        """True if nobody knows what became of the request, and nobody said anything."""
        return self.may_be_done and not self.is_answered


class RateLimited(TransientError):
    """The system asks everybody to wait (429, a used-up quota): the whole destination does, without an alert.

    Being asked to wait is no failure of the action: neither it nor the others lose an attempt.
    """


class Suppressed(Exception):
    """The action must not be done, and that is no failure: no address, a suppressed one, a domain for examples.

    The action is skipped with this reason until its content changes or a person tries it again. No system was asked:
    the skip is no part of a row.
    """


class DestinationUnavailable(Exception):
    """Nothing would get through for now, whatever the action: a key that is refused, a wrong address.

    The whole destination stops, one alert tells of it, and another action is tried later. It costs no attempt, unless
    others got through since it was raised for the same action before: then it is that action's own failure.
    The message names the setting to look at, and holds no secret.
    """


def is_no_connection(cause: BaseException) -> bool:
    """True if an operating system's error says that nobody was reached, so that nothing can have been done."""
    unreachable = (errno.EHOSTUNREACH, errno.ENETUNREACH)
    return isinstance(cause, ConnectionRefusedError | socket.gaierror) or (
        isinstance(cause, OSError) and cause.errno in unreachable
    )


def describe(error: BaseException, settings: BaseSettings) -> str:
    """An error as text fit for the outbox: at most 2,000 characters, and no secret among them."""
    text = str(error).strip()
    if not isinstance(error, Rejected | TransientError | DestinationUnavailable | Suppressed):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return redact(text or type(error).__name__, settings)


def redact(text: str, settings: BaseSettings) -> str:
    """The text with every secret of the settings, and all that looks like a credential, replaced by ***."""
    text = text[:_LONGEST_SEARCHED]
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        text = text.replace(secret, "***")
    for pattern in _CREDENTIALS:
        text = pattern.sub(r"\g<keep>***", text)
    text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= ERROR_LIMIT else text[: ERROR_LIMIT - 1] + "…"


def _secrets(settings: BaseSettings) -> set[str]:
    # The settings of destinations too: `IntegrationSettings.parts`.
    several = (settings, *getattr(settings, "parts", tuple)())
    values = (getattr(one, name) for one in several for name in type(one).model_fields)
    parts = (part.strip() for value in values if isinstance(value, SecretStr) for part in _pieces(value))
    return {part for part in parts if len(part) >= 4}


def _pieces(value: SecretStr) -> list[str]:
    whole = value.get_secret_value()
    return [whole, *whole.split(",")]
