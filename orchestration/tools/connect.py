"""Tests the way of a platform's events: one trial delivery through the public address, and what lands afterwards.

`orchestration.cli.connect` prints the results; `receiver` knows how each platform signs, and what a trial looks like.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import requests

from integrations import receiver_watch
from receiver import probe_event
from receiver.envelope import LandedEvent, read_line
from receiver.landing import LandingStore, Segment
from receiver.signatures import BadSignature
from receiver.sources import Source
from receiver.sources.base import CannotSign

ANSWER_SECONDS = 15


class NotConnected(Exception):
    """The trial did not arrive; the message says why and what to do."""


def attempt(source: Source, address: str, secret: str | None) -> str | None:
    """The event id of a trial posted to a source's public address. Raises NotConnected.

    None if only the platform can sign, and the unsigned trial was refused as it should be.
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
    """The cause alone, such as `Connection refused`, of the long text in an error of requests."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return str(reason).rpartition(": ")[2] or type(error).__name__


def _is_ours(answer: requests.Response) -> bool:
    """True if the receiver itself refused, and not something in front of it."""
    return answer.headers.get("Content-Type", "").startswith("application/problem+json")


def _problem(answer: requests.Response, identity: str) -> str | None:
    """The problem with an answer, and what to do; None if the receiver accepted the trial."""
    status = answer.status_code
    if status == 200:
        return (
            None
            if _accepted_id(answer) == identity
            else "something other than the receiver accepted it; check the address"
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


def _accepted_id(answer: requests.Response) -> str | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body.get("event_id") if isinstance(body, dict) and body.get("status") == "accepted" else None


class Arrivals:
    """The events of a source that land from now on."""

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
        """The segments of the last hours; older ones are closed."""
        since = datetime.now(UTC) - timedelta(hours=2)
        return self._store.segments(after=f"{since:%Y-%m-%d/%H}")


def refusals(bind: str, source: str) -> Mapping[str, int]:
    """The requests of a source that this machine's receiver refused, by reason; empty while it gives no counts."""
    sample = receiver_watch.sample(bind, datetime.now(UTC))
    return sample.refused.get(source, {}) if sample is not None else {}
