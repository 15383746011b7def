"""Whether the receiver takes events: its own answer, and how many webhooks it refused lately.

Asks over HTTP, as a load balancer would. Reactions and alerts belong to the callers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import requests

from integrations.outbox import Finding
from receiver.config import split_bind

RECEIVER = "receiver"
"""Key of the problem that the receiver is down; those of refused webhooks begin with `REFUSED`."""
REFUSED = "refused:"
WINDOW = timedelta(minutes=15)
LEAST_REFUSED = 3
LEAST_SHARE = 0.1
RESTART = timedelta(seconds=45)
"""A receiver that is started anew needs nobody: an alert waits for so long."""
_SUBJECT = "raw/call_events:receiver_takes_events"
_SECONDS = 2.0
_LARGEST_BYTES = 4 << 20
_COUNT = re.compile(r"aftercall_receiver_(refused|events)_total\{([^{}\n]*)\} ([0-9.eE+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(?<!\w)(\w+)="([^"\\\n]*)"')
# what the receiver cannot help, or says by itself that it is not ready
_OTHER_REASONS = frozenset({"landing", "busy", "not_found", "method", "error"})


@dataclass(frozen=True)
class Sample:
    """What the receiver has counted since it started, by source: accepted, and refused by reason."""

    at: datetime
    accepted: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def receiver_findings(bind: str) -> list[Finding]:
    """A finding if the receiver at `host:port` does not take events now, else none; takes up to two seconds."""
    try:
        with _asked(bind, "/readyz") as answer:
            status = answer.status_code
    except requests.RequestException as error:
        return [_down("The receiver does not answer", f"Asked at {bind}: {_reason(error)}.")]
    if status == 200:
        return []
    if status == 503:
        return [
            _down("The receiver takes no events", f"It answers at {bind}, and cannot write events to disk.")
        ]
    return [_down("The receiver does not answer", f"What listens at {bind} is no receiver: status {status}.")]


def sample(bind: str, now: datetime) -> Sample | None:
    """The receiver's counts, or None while it gives none; takes a few seconds at most."""
    try:
        with _asked(bind, "/metrics") as answer:
            if answer.status_code != 200:
                return None
            text = answer.raw.read(_LARGEST_BYTES, decode_content=True).decode("utf-8", "replace")
    except (requests.RequestException, OSError):
        return None
    accepted: dict[str, int] = {}
    refused: dict[str, dict[str, int]] = {}
    for kind, labels, value in _COUNT.findall(text):
        known = dict(_LABEL.findall(labels))
        source, reason, number = known.get("source", ""), known.get("reason", ""), int(float(value))
        if kind == "events":
            accepted[source] = accepted.get(source, 0) + number
        else:
            refused.setdefault(source, {})[reason] = number
    return Sample(now, accepted, refused)


def watched(samples: Sequence[Sample], newest: Sample) -> list[Sample]:
    """The samples to keep, oldest first, once there is a newer one: those of the last quarter of an hour.

    Where a count went down the receiver was started anew, and what it counted before says nothing of now. What it had
    refused before anybody watched counts as new if it never accepted anything of that source.
    """
    recent = [one for one in samples if one.at >= newest.at - WINDOW]
    if recent and _went_down(recent[-1], newest):
        recent = [Sample(newest.at)]
    if not recent:
        heard = {source: counts for source, counts in newest.refused.items() if newest.accepted.get(source)}
        recent = [Sample(newest.at, newest.accepted, heard)]
    return [*recent, newest]


def refused_webhooks(samples: Sequence[Sample]) -> list[Finding]:
    """A finding for each source of which the receiver refused many webhooks: three or more, and one in ten or more.

    `samples`: as `watched` gives them.
    """
    findings = []
    for source, counts in sorted(samples[-1].refused.items() if samples else ()):
        before = samples[0].refused.get(source, {})
        reasons = {reason: number - before.get(reason, 0) for reason, number in counts.items()}
        reasons = {
            reason: number
            for reason, number in reasons.items()
            if number > 0 and reason not in _OTHER_REASONS
        }
        refused = sum(reasons.values())
        accepted = samples[-1].accepted.get(source, 0) - samples[0].accepted.get(source, 0)
        if refused >= LEAST_REFUSED and refused >= LEAST_SHARE * (refused + accepted):
            findings.append(_refused(source, refused, accepted, reasons))
    return findings


def to_json(samples: Sequence[Sample]) -> list[list[object]]:
    """Samples as a value that JSON can hold; `from_json` reads it."""
    return [[one.at.isoformat(), dict(one.accepted), dict(one.refused)] for one in samples]


def from_json(value: object) -> list[Sample]:
    """Samples that `to_json` wrote; none where the value is of another form."""
    if not isinstance(value, list):
        return []
    try:
        return [Sample(datetime.fromisoformat(at), accepted, refused) for at, accepted, refused in value]
    except (TypeError, ValueError):
        return []


def _went_down(before: Sample, after: Sample) -> bool:
    if any(number > after.accepted.get(source, 0) for source, number in before.accepted.items()):
        return True
    return any(
        number > after.refused.get(source, {}).get(reason, 0)
        for source, reasons in before.refused.items()
        for reason, number in reasons.items()
    )


def _refused(source: str, refused: int, accepted: int, reasons: Mapping[str, int]) -> Finding:
    most = max(sorted(reasons), key=lambda reason: reasons[reason])
    listed = ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items()))
    setting = f"AFTERCALL_SECRET_{source.upper()}"
    remedy = {
        "network": f"Do AFTERCALL_ALLOW_FROM_{source.upper()} and AFTERCALL_TRUSTED_PROXIES fit the sender?",
        "too_large": "Raise AFTERCALL_RECEIVER_MAX_BODY_BYTES if these bodies are wanted.",
        "body": "The sender does not post JSON. Look at the receiver's log.",
        "content_type": "The sender does not post JSON. Look at the receiver's log.",
    }.get(
        most,
        f"Compare {setting} with the secret that the platform shows. The receiver's log has each refusal.",
    )
    return Finding(
        f"{REFUSED}{source}",
        f"raw/call_events:{REFUSED}{source}",
        f"Webhooks of {source} are refused",
        f"In the last {WINDOW.seconds // 60} minutes: {refused} refused, {accepted} accepted. Reasons: {listed}.",
        remedy,
    )


def _down(headline: str, details: str) -> Finding:
    remedy = "Start it: aftercall up, or aftercall receiver. Until then no call is heard of."
    return Finding(RECEIVER, _SUBJECT, headline, details, remedy, alert_after=RESTART)


def _asked(bind: str, path: str) -> requests.Response:
    host, port = split_bind(bind)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked, not listened on
    url = f"http://[{host}]:{port}{path}" if ":" in host else f"http://{host}:{port}{path}"
    return requests.get(url, timeout=_SECONDS, allow_redirects=False, stream=True)


def _reason(error: requests.RequestException) -> str:
    return "no answer in time" if isinstance(error, requests.Timeout) else "no connection"
