"""What a destination may say went wrong, and how much of it may be written down.

A destination raises one of these; anything else that escapes from it counts as `Retryable`.
What follows from an error (when to try again, when to give up) belongs to `integrations.outbox`.
"""

import errno
import re
import socket
from datetime import timedelta

from pydantic import SecretStr
from pydantic_settings import BaseSettings

ERROR_LIMIT = 2_000

_CREDENTIALS = (
    re.compile(r"(?P<keep>://)[^/\s:@]*:[^/\s@]+(?=@)"),
    re.compile(r"(?P<keep>\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}", re.I),
    re.compile(
        r"(?P<keep>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|authorization)[\"']?\s*[=:]\s*[\"']?)"
        r"(?!bearer\b|basic\b)[^\s\"'&,;]{3,}",
        re.I,
    ),
    re.compile(r"(?P<keep>hooks\.slack\.com/services/)\S+", re.I),
    re.compile(r"(?P<keep>)\bxox[a-z]-[\w-]{8,}"),
)


class Refused(Exception):
    """The system will never take this action as it is: the action is dead at once."""


class Gone(Refused):
    """The record that was to be updated does not exist any more: it is looked for again, and if need be made anew."""


class Retryable(Exception):
    """It failed now and may work later.

    Args:
        message: what happened, without secrets.
        after: how long the system asks to wait (its `Retry-After`); the backoff may wait longer.
    """

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class Unreachable(Retryable):
    """It failed before the system could say anything: no connection, no name, no answer, a gateway without it.

    Several in a row stop the destination, because a system that is down need not cost every action an attempt.

    Args:
        message: what happened, without secrets.
        after: how long the system asks to wait.
        may_be_done: the request had left: only its answer is missing. Then every try counts, also one that finds out
            whether the system is back, or a thing that cannot be looked for would be sent for ever.
    """

    def __init__(self, message: str, after: timedelta | None = None, *, may_be_done: bool = False) -> None:
        super().__init__(message, after)
        self.may_be_done = may_be_done


class Busy(Retryable):
    """It failed because the system asks everybody to wait (429): the whole destination does, without an alert.

    Being told to wait is no failure of the action: neither it nor the others lose an attempt.
    """


class Skipped(Exception):
    """It must not be done, and that is no failure: a suppressed address, a domain that is only an example.

    The action is skipped with this reason until its content changes or a person tries it again.
    """


class Paused(Exception):
    """Nothing would get through for now, whatever the action: a key that is refused, a wrong address.

    The whole destination stops, one alert tells of it, and another action is tried later. It costs no attempt, unless
    others got through since it was raised for the same action before: then it is that action's own failure.
    The message names the setting to look at.

    Args:
        message: what happened and what to do, without secrets.
        after: how long to wait before the next look; default: the circuit's own, longer each time.
    """

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class Forbidden(Paused):
    """The key may not do this (403): perhaps nothing at all, perhaps only this one record or place.

    Others are tried before the destination stops; if one gets through, it is this action's own failure.
    """


def is_no_connection(cause: BaseException) -> bool:
    """Whether an operating system's error says that nobody was reached, so that nothing can have been done."""
    unreachable = (errno.EHOSTUNREACH, errno.ENETUNREACH)
    return isinstance(cause, ConnectionRefusedError | socket.gaierror) or (
        isinstance(cause, OSError) and cause.errno in unreachable
    )


def describe(error: BaseException, settings: BaseSettings) -> str:
    """An error as text fit for the outbox: at most 2,000 characters, and no secret among them."""
    text = str(error).strip()
    if not isinstance(error, Refused | Retryable | Paused | Skipped):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return redact(text or type(error).__name__, settings)


def redact(text: str, settings: BaseSettings) -> str:
    """The text with every secret of the settings, and all that looks like a credential, replaced by ***."""
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        text = text.replace(secret, "***")
    for pattern in _CREDENTIALS:
        text = pattern.sub(r"\g<keep>***", text)
    text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= ERROR_LIMIT else text[: ERROR_LIMIT - 1] + "…"


def _secrets(settings: BaseSettings) -> set[str]:
    held = (getattr(settings, name) for name in type(settings).model_fields)
    parts = (part.strip() for value in held if isinstance(value, SecretStr) for part in _pieces(value))
    return {part for part in parts if len(part) >= 4}


def _pieces(value: SecretStr) -> list[str]:
    whole = value.get_secret_value()
    return [whole, *whole.split(",")]
