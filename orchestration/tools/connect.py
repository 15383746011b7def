"""Whether a platform's events arrive: one trial delivery through the public address, and what lands afterwards.

What is printed belongs to `orchestration.cli.connect`; what a trial looks like, and how each platform signs, to
`receiver`.
"""

import re
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import requests

from receiver import probe_event
from receiver.envelope import LandedEvent, read_line
from receiver.landing import LandingStore, Segment
from receiver.signatures import BadSignature
from receiver.sources import Source
from receiver.sources.base import CannotSign

ANSWER_SECONDS = 15
_REFUSED = re.compile(r'aftercall_receiver_refused_total\{reason="(\w+)",source="(\w+)"\} (\d+)')


class NotConnected(Exception):
    """The trial did not get through; the message says why and what to do."""


def attempt(source: Source, address: str, secret: str | None) -> str | None:
    """Post a trial to a source's public address. Raises NotConnected.

    Returns the trial's event id, or None if nobody but the platform can sign it, and it was refused as it should be.
    """
    identity = f"connect-{secrets.token_hex(8)}"
    content_type, body = probe_event.body(source, identity)
    headers = {"Content-Type": content_type}
    must_be_refused = False
    if secret is not None:
        try:
            headers |= source.at(address).sign(body, secret, time.time())
        except CannotSign:
            must_be_refused = True
        except BadSignature:
            raise NotConnected(
                f"the secret is not of the platform's form: {source.setup.credential}"
            ) from None
    answer = _post(address, headers, body)
    if must_be_refused and answer.status_code == 401 and _is_ours(answer):
        return None
    if (problem := _problem(answer, identity)) is not None:
        raise NotConnected(f"{address} answered {answer.status_code}: {problem}")
    return identity


def _post(address: str, headers: dict[str, str], body: bytes) -> requests.Response:
    try:
        return requests.post(
            address, data=body, headers=headers, timeout=ANSWER_SECONDS, allow_redirects=False
        )
    except requests.exceptions.SSLError as error:
        raise NotConnected(f"{address} has no certificate that can be trusted: {error}") from None
    except requests.Timeout:
        raise NotConnected(
            f"{address} did not answer within {ANSWER_SECONDS} s: a firewall, or a proxy that hands nothing on"
        ) from None
    except requests.RequestException as error:
        raise NotConnected(
            f"nothing answers at {address} ({_cause(error)}): start the receiver (aftercall up), and see that the name "
            "leads to the proxy and the proxy to AFTERCALL_RECEIVER_BIND"
        ) from None


def _cause(error: Exception) -> str:
    """`Connection refused` of the long text that requests makes of it."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return str(reason).rpartition(": ")[2] or type(error).__name__


def _is_ours(answer: requests.Response) -> bool:
    """Whether the receiver itself refused, rather than something in front of it."""
    return answer.headers.get("Content-Type", "").startswith("application/problem+json")


def _problem(answer: requests.Response, identity: str) -> str | None:
    """What is wrong with an answer, and what to do; None if the receiver took the trial."""
    status = answer.status_code
    if status == 200:
        return (
            None
            if _taken(answer) == identity
            else "something else than the receiver took it; check the address"
        )
    if 300 <= status < 400:
        return (
            f"it redirects to {answer.headers.get('Location')}; platforms do not follow, so give that address"
        )
    if not _is_ours(answer):
        return "that is no answer of the receiver: look at the proxy in front of it, and at the path"
    detail = str(answer.json().get("detail", ""))
    return f"{detail}; {_ADVICE[status]}" if status in _ADVICE else detail


_ADVICE = {
    401: "the receiver runs with another secret or public URL than this command sees (restart it after a change), or "
    "a proxy changes what passes through; `reason` in the receiver's log says which",
    403: "add the network to AFTERCALL_ALLOW_FROM_<SOURCE>; behind a proxy set AFTERCALL_TRUSTED_PROXIES",
    404: "the receiver that answers is older than this command, or the address has a path too many",
    415: "a proxy changes the Content-Type",
    503: "aftercall doctor says what the landing store lacks",
}


def _taken(answer: requests.Response) -> str | None:
    try:
        taken = answer.json()
    except ValueError:
        return None
    return taken.get("event_id") if isinstance(taken, dict) and taken.get("status") == "accepted" else None


class Arrivals:
    """What a source sends from now on, as it lands here."""

    def __init__(self, store: LandingStore, source: str) -> None:
        self._store = store
        self._source = source
        self._positions = {segment.path: segment.size for segment in self._segments()}

    def new(self) -> Iterator[LandedEvent]:
        """The events that have landed since the last look."""
        for segment in self._segments():
            position = self._positions.get(segment.path, 0)
            while (chunk := self._store.read(segment.path, position)).data:
                position = self._positions[segment.path] = chunk.next_offset
                for entry in chunk.data.splitlines():
                    event = read_line(entry)
                    if event is not None and event.source == self._source:
                        yield event

    def _segments(self) -> Iterator[Segment]:
        """Only of the last hours: older ones are closed."""
        since = datetime.now(UTC) - timedelta(hours=2)
        return self._store.segments(after=f"{since:%Y-%m-%d/%H}")


def refusals(bind: str, source: str) -> dict[str, int]:
    """How many requests of a source the receiver of this machine has refused, by reason; empty if it says nothing."""
    try:
        text = requests.get(f"http://{bind}/metrics", timeout=2).text
    except requests.RequestException:
        return {}
    return {reason: int(count) for reason, name, count in _REFUSED.findall(text) if name == source}
