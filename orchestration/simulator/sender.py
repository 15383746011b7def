"""Posts deliveries over HTTP as a voice platform would: many at once, in order, signed, tried again.

Where the deliveries come from (a simulation, a recording) belongs to other modules; showing progress
belongs to the CLI.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import requests

from orchestration.simulator.delivery import Delivery, signed_headers

TRIES = 6
"""Tries at one delivery before it counts as an error."""

LONGEST_WAIT_SECONDS = 5.0
"""Upper bound on a `Retry-After`, so that a strange header cannot stall a demo."""

TIMEOUT_SECONDS = 30.0
"""As long as Atoms waits for an answer."""

KEPT_PROBLEMS = 10


@dataclass(frozen=True)
class PostReport:
    """What became of the deliveries. The latencies are those of single requests that were answered.

    `accepted`: 2xx; `refused`: any other answer but 503; `errors`: no usable answer after all tries.
    `problems`: the first few refusals and errors, in words.
    """

    sent: int
    accepted: int
    refused: int
    errors: int
    p50_ms: float
    p99_ms: float
    seconds: float
    problems: tuple[str, ...] = ()


@dataclass
class _Tally:
    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def post_all(
    deliveries: Iterable[Delivery],
    url: str,
    clients: int = 16,
    secrets: Mapping[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
    rate: float | None = None,
    speed: float | None = None,
    since: datetime | None = None,
) -> PostReport:
    """Post every delivery to `<url>/webhooks/<source>` over `clients` connections; wait for the last answer.

    Requests start in the order given, each signed with the secret that `secrets` has for its source. `rate`: at
    most so many deliveries a second; `speed`: keep the times between the deliveries, divided by it (1 is as
    recorded); neither: as fast as the receiver answers.
    `since`: the moment on the deliveries' clock at which posting begins, the first one's time by default;
    with a simulation's `start` and a speed of 1 nothing is posted before it happened.
    `progress` is called with the number finished so far, by one thread at a time. A refused connection or a
    503 is tried again after `Retry-After`. Raises ValueError for arguments that make no sense; Ctrl-C stops
    the clients before it is passed on.
    """
    if clients < 1 or (rate is not None and rate <= 0) or (speed is not None and speed <= 0):
        raise ValueError("clients must be at least 1, rate and speed above zero")
    waiting: queue.Queue[Delivery | None] = queue.Queue(maxsize=clients * 2)
    tally, stopped = _Tally(), threading.Event()
    threads = [
        threading.Thread(
            target=_client,
            args=(waiting, url, secrets or {}, tally, stopped, progress),
            name=f"post-{number}",
            daemon=True,
        )
        for number in range(clients)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    try:
        _feed(deliveries, waiting, rate, speed, since, stopped)
    except BaseException:
        stopped.set()
        raise
    finally:
        _end(waiting, threads, stopped)
    return _report(tally, time.perf_counter() - began)


def endpoint(url: str, source: str) -> str:
    """Where a source's deliveries go; a `url` that already names a webhook route is taken as it is."""
    base = url.rstrip("/")
    return base if "/webhooks/" in base else f"{base}/webhooks/{source}"


def _feed(
    deliveries: Iterable[Delivery],
    waiting: queue.Queue[Delivery | None],
    rate: float | None,
    speed: float | None,
    since: datetime | None,
    stopped: threading.Event,
) -> None:
    began = time.monotonic()
    first = since
    for number, delivery in enumerate(deliveries):
        first = first or delivery.at
        due = number / rate if rate else 0.0
        if speed:
            due = max(due, (delivery.at - first).total_seconds() / speed)
        if (pause := began + due - time.monotonic()) > 0:
            stopped.wait(pause)
        waiting.put(delivery)


def _end(
    waiting: queue.Queue[Delivery | None], threads: list[threading.Thread], stopped: threading.Event
) -> None:
    while stopped.is_set() and not waiting.empty():
        try:
            waiting.get_nowait()
        except queue.Empty:
            break
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()


def _client(
    waiting: queue.Queue[Delivery | None],
    url: str,
    secrets: Mapping[str, str],
    tally: _Tally,
    stopped: threading.Event,
    progress: Callable[[int], None] | None,
) -> None:
    with requests.Session() as session:
        # a proxy from the environment must not come between a person and their own machine
        session.trust_env = False
        while (delivery := waiting.get()) is not None:
            try:
                result, problem, latencies = _deliver(session, delivery, url, secrets, stopped)
            except Exception as error:  # a client that dies would leave its share of the deliveries unsent
                result, problem, latencies = "errors", f"{type(error).__name__}: {error}", []
            with tally.lock:
                tally.counts[result] += 1
                tally.latencies += latencies
                if problem and len(tally.problems) < KEPT_PROBLEMS:
                    tally.problems.append(problem)
                if progress is not None:
                    # a display that fails must not cost a delivery
                    with contextlib.suppress(Exception):
                        progress(tally.counts.total())


def _deliver(
    session: requests.Session,
    delivery: Delivery,
    url: str,
    secrets: Mapping[str, str],
    stopped: threading.Event,
) -> tuple[str, str | None, list[float]]:
    latencies: list[float] = []
    problem = "not sent: stopped"
    target = endpoint(url, delivery.source)
    for attempt in range(TRIES):
        if stopped.is_set():
            break
        headers = signed_headers(delivery, secrets.get(delivery.source), datetime.now(UTC))
        pause = 0.1 * 2**attempt
        began = time.perf_counter()
        try:
            answer = session.post(target, data=delivery.body, headers=headers, timeout=TIMEOUT_SECONDS)
        except (requests.ConnectionError, requests.Timeout) as error:
            problem = f"{target}: {type(error).__name__} after {attempt + 1} tries"
        else:
            latencies.append((time.perf_counter() - began) * 1000)
            if answer.ok:
                return "accepted", None, latencies
            problem = f"{target}: {answer.status_code} {answer.text[:200]}"
            if answer.status_code != 503:
                return "refused", problem, latencies
            pause = _retry_after(answer, pause)
        if attempt + 1 < TRIES:
            stopped.wait(pause)
    return "errors", problem, latencies


def _retry_after(answer: requests.Response, otherwise: float) -> float:
    """Seconds to wait; the HTTP-date form of the header is not used by the receiver and counts as absent."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_WAIT_SECONDS) if asked.isdecimal() else otherwise


def _report(tally: _Tally, seconds: float) -> PostReport:
    ordered = sorted(tally.latencies)

    def percentile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    counts = tally.counts
    return PostReport(
        sent=counts.total(),
        accepted=counts["accepted"],
        refused=counts["refused"],
        errors=counts["errors"],
        p50_ms=percentile(0.50),
        p99_ms=percentile(0.99),
        seconds=seconds,
        problems=tuple(tally.problems),
    )
