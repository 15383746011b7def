"""Posts deliveries over HTTP as a voice platform does: in parallel, in order, signed, with retries.

Creating deliveries (simulation, recording) belongs to other modules, showing progress to the CLI.
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
"""Tries per delivery before it counts as an error."""

LONGEST_WAIT_SECONDS = 5.0
"""Upper limit of `Retry-After`, so that no header can stall a demo."""

TIMEOUT_SECONDS = 30.0
"""Atoms' own limit."""

MAX_PROBLEMS = 10


@dataclass(frozen=True)
class PostReport:
    """The outcome of the deliveries. Latencies are those of single answered requests.

    `accepted`: 2xx; `refused`: any other answer but 503; `errors`: no usable answer after all tries.
    `problems`: the first refusals and errors as text.
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
    """The address for a source's deliveries; a `url` that is already a webhook route is used unchanged."""
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
        # requests to this machine must not go through a proxy of the environment
        session.trust_env = False
        while (delivery := waiting.get()) is not None:
            try:
                result, problem, latencies = _deliver(session, delivery, url, secrets, stopped)
            except Exception as error:  # a client that dies would leave its deliveries unsent
                result, problem, latencies = "errors", f"{type(error).__name__}: {error}", []
            with tally.lock:
                tally.counts[result] += 1
                tally.latencies += latencies
                if problem and len(tally.problems) < MAX_PROBLEMS:
                    tally.problems.append(problem)
                if progress is not None:
                    # a failing display must not lose a delivery
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
    """Seconds to wait. An HTTP date counts as no header: the receiver does not send one."""
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
