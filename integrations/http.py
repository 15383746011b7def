"""HTTP as every destination speaks it: one session, three time-outs, and answers turned into the failure kinds.

What is asked of a system, and what its answer means beyond HTTP, belongs to the destinations. Nothing here is
repeated by itself: after a failure the outbox looks before it sends again. Errors name the system and quote its own
words, never a URL, because in some URLs the path is the key; for the same reason `urllib3` logs no paths.
"""

import logging
import re
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests import exceptions as failures

from integrations.config import IntegrationSettings
from integrations.deadline import DeadlineExceeded, within
from integrations.errors import (
    DestinationUnavailable,
    Forbidden,
    RateLimited,
    Rejected,
    TransientError,
    Unreachable,
    is_no_connection,
)
from integrations.pages import is_page, text_of
from integrations.rendering import line

LARGEST_ANSWER = 4 << 20
QUOTED = 300
LONGEST_DETAILS = 65_536
# 420 is what some said before there was a 429.
TOO_MANY = frozenset({420, 429})
# Somebody else holds this one record.
LOCKED = 423
# Below 500, and yet of the system: it did not get the whole request in time, or does not take it yet.
NOT_NOW = frozenset({408, 425})
# A gateway got no answer, or none that it understood: the system behind it may have done what it was asked.
ANSWER_LOST = frozenset({502, 504, 520, 524, 598, 599})
# An API answers these in its own form; in the form of a page they come from whoever stands in for it.
_OF_A_STAND_IN = frozenset({404, 405, 410})
# The key, the address or a proxy is wrong: so it will be for the next action too.
WRONG_FOR_ALL = frozenset({401, 403, 407})
_PATH = re.compile(r"""(?<=[\s"'=(])(\w+://[^/\s"']*)?/[^\s"')]*""")


def _without_paths(record: logging.LogRecord) -> bool:
    """Leave method, host and status of a request in the log, and no path, query or credentials of a URL."""
    record.msg, record.args = _PATH.sub("/…", record.getMessage()), None
    return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_without_paths)


@dataclass(frozen=True)
class Answer:
    """What a system answered: always a 2xx, the rest are errors."""

    system: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, undecodable bytes replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def start(self) -> str:
        """As much of the text as is looked into."""
        return self.body[:LONGEST_DETAILS].decode("utf-8", "replace")

    @property
    def is_page(self) -> bool:
        """True if the body is HTML, by its type or its first character."""
        return is_page(self.headers.get("Content-Type", ""), self.start)

    @property
    def words(self) -> str:
        """What the system says for itself, as one line of at most 300 characters; of an HTML page only its text."""
        return line(text_of(self.start) if self.is_page else self.start, QUOTED)

    def json(self) -> dict[str, Any]:
        """The body as the JSON object that was promised; Unreachable if it is none, as of a page of maintenance."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise Unreachable(
                f"{self.system} answered {self.status} without the JSON object it promises: "
                f"{self.words or 'nothing'}",
                may_be_done=True,
            )
        return value


class HttpClient:
    """A session with one system. Not for several threads at once.

    Args:
        system: its name in errors.
        settings: time-outs.
        base_url: what paths are added to; http or https.
        setting: the setting that a person looks at when the address is wrong.
        headers: of every request, such as the credentials.
        wrong_for_all: statuses that stop the channel, besides 401, 403, 407 and redirects.
    """

    # Whether the system itself says by a page that something is not there.
    answers_pages = False

    def __init__(
        self,
        system: str,
        settings: IntegrationSettings,
        base_url: str,
        *,
        setting: str,
        headers: Mapping[str, str] | None = None,
        wrong_for_all: frozenset[int] = frozenset(),
    ) -> None:
        self.system, self.base_url, self.setting = system, base_url, setting
        self.connect, self.read = settings.http_connect_seconds, settings.http_read_seconds
        self.whole = settings.http_whole_seconds
        self.wrong_for_all = WRONG_FOR_ALL | wrong_for_all
        self.headers = {"User-Agent": _user_agent(), **(headers or {})}
        self._session = _session()

    def request(
        self,
        method: str,
        path: str = "",
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once. Raises an error of `integrations.errors` for everything that is not a whole 2xx."""
        sent = {**self.headers, **(headers or {})}
        if json is not None:
            body = orjson.dumps(json)
            sent.setdefault("Content-Type", "application/json")

        def ask() -> Answer:
            with self._session.request(
                method,
                self.base_url + path,
                params=params,
                data=body,
                headers=sent,
                timeout=(self.connect, self.read),
                allow_redirects=False,
                stream=True,
            ) as response:
                whole = b"".join(_limited(response.iter_content(65_536)))
                return Answer(self.system, response.status_code, response.headers, whole)

        try:
            answer = within(self.whole, ask)
        except (requests.RequestException, OSError, ValueError) as error:
            raise self._unanswered(error) from None
        return self._judged(answer)

    def knock(self) -> None:
        """Return if anybody answers at the address, by OPTIONS, which changes nothing.

        Raises Unreachable or RateLimited.
        """
        with suppress(Rejected, DestinationUnavailable, Forbidden):
            self.request("OPTIONS")

    def close(self) -> None:
        """Close every connection."""
        self._session.close()

    def _unanswered(self, error: Exception) -> Exception:
        """Whatever kept an answer from coming, as one of the kinds; not to be chained, because it holds the URL."""
        if isinstance(error, DeadlineExceeded):
            # Its thread still holds the connection.
            self._session = _session()
            text = f"{self.system} did not end its answer within {self.whole:g} s"
            return Unreachable(text, may_be_done=True)
        if isinstance(error, _TooLarge):
            text = f"{self.system} answered with more than {LARGEST_ANSWER >> 20} MiB"
            return Unreachable(text, may_be_done=True)
        cause = _root(error)
        if isinstance(error, failures.SSLError) and "certificate" in str(error).lower():
            reason = getattr(cause, "verify_message", "") or "certificate verify failed"
            return DestinationUnavailable(
                f"{self.system} shows a certificate that is not to be trusted ({reason}); nothing was sent. "
                f"Look at {self.setting}; a CA of your own goes into REQUESTS_CA_BUNDLE"
            )
        if isinstance(error, ValueError):
            # InvalidURL, MissingSchema, InvalidSchema, InvalidHeader: all of them are ValueErrors.
            kind = type(error).__name__
            return DestinationUnavailable(f"{self.setting} is not an address that can be asked: {kind}")
        if isinstance(error, failures.ConnectTimeout):
            return Unreachable(f"{self.system}: no connection within {self.connect:g} s")
        if isinstance(error, failures.ReadTimeout) or "timed out" in str(error).lower():
            return Unreachable(f"{self.system}: nothing was heard for {self.read:g} s", may_be_done=True)
        reason = getattr(cause, "strerror", None) or type(cause).__name__
        text = f"{self.system}: the connection failed ({reason})"
        return Unreachable(text, may_be_done=not is_no_connection(cause))

    def _judged(self, answer: Answer) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        quoted = self._words(answer)
        raise self._failure(answer, f"{self.system} answered {answer.status}{': ' if quoted else ''}{quoted}")

    def _words(self, answer: Answer) -> str:
        """What the system says for itself."""
        return answer.words

    def _failure(self, answer: Answer, message: str) -> Exception:
        """The failure kind of an answer that is not 2xx."""
        error = self.kind(answer.status, answer.headers, message)
        if not isinstance(error, Rejected):
            return error
        if answer.status in _OF_A_STAND_IN and answer.is_page and not self.answers_pages:
            return Unreachable(f"{message}. Look at {self.setting}")
        error.details = answer.text[:LONGEST_DETAILS]
        return error

    def kind(self, status: int, headers: Mapping[str, str], message: str) -> Exception:
        """The failure kind of a status that is not 2xx."""
        after = retry_after(headers.get("Retry-After"), datetime.now(UTC))
        if status in TOO_MANY:
            return RateLimited(message, after)
        if status >= 500 or status in NOT_NOW:
            return Unreachable(message, after, may_be_done=status in ANSWER_LOST, is_answered=True)
        if status == LOCKED:
            return TransientError(message, after)
        if status == 403:
            return Forbidden(f"{message}. Look at {self.setting}")
        if status in self.wrong_for_all or status < 400:
            return DestinationUnavailable(f"{message}. Look at {self.setting}")
        return Rejected(message)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """`Retry-After` as a wait, from seconds or an HTTP date (RFC 9110, 10.2.3); None if it says neither."""
    text = (value or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text, re.ASCII):
        return timedelta(seconds=float(text))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(timedelta(0), (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now)


def checked_url(value: str, setting: str) -> str:
    """An http or https URL as it stands; DestinationUnavailable, naming the setting, for anything else."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise DestinationUnavailable(f"set {setting} to a URL that begins with https://")
    return value


def authorization(token: str, user: str = "") -> dict[str, str]:
    """The header that carries a token: with its user by HTTP basic authentication, else as a bearer's."""
    basic = b64encode(f"{user}:{token}".encode()).decode()
    return {"Authorization": f"Basic {basic}" if user else f"Bearer {token}"}


class _TooLarge(OSError):
    pass


def _limited(chunks: Any) -> Any:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > LARGEST_ANSWER:
            raise _TooLarge
        yield chunk


def _root(error: BaseException) -> BaseException:
    """The innermost cause: libraries wrap the operating system's word several times."""
    for _ in range(10):
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        inner = inner or next((part for part in error.args if isinstance(part, BaseException)), None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def _session() -> requests.Session:
    session = requests.Session()
    # Always set, or requests would look into ~/.netrc and prefer what stands there.
    session.auth = lambda request: request
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _user_agent() -> str:
    try:
        return f"aftercall/{version('aftercall')}"
    except PackageNotFoundError:
        return "aftercall"
