"""The receiver's Prometheus metrics, over all its worker processes.

Labels come from closed lists, so that a sender cannot create series. Under `receiver.serve` each worker keeps its
counts in files that the others read (prometheus_client's multiprocess mode): any worker answers for all of them, dead
ones included. Elsewhere an app has a registry of its own.
"""

import contextlib
import os
import re
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from receiver.request_context import RequestContext
from receiver.sources.base import ANALYTICS_COMPLETED, CALL_END, CALL_START

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_KNOWN_TYPES = {CALL_START, CALL_END, ANALYTICS_COMPLETED}
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LINES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_OF_A_LIVE_PROCESS = re.compile(r"gauge_live\w*_(\d+)\.db")


class Metrics:
    """Counts of one process; `text` has the sums over all processes."""

    def __init__(self, free_bytes: Callable[[], int] | None) -> None:
        self.registry = CollectorRegistry()
        self._looked_up = CollectorRegistry()
        self._looked_up.register(self)
        self._free_bytes = free_bytes
        self._new: Counts[tuple[Counter, *tuple[str, ...]]] = Counts()
        self._newest: dict[str, float] = {}
        self._requests = Counter(
            "aftercall_receiver_requests", "Answers to webhook requests", ["source", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._refused = Counter(
            "aftercall_receiver_refused", "Webhook requests that were not accepted", ["source", "reason"],
            registry=self.registry,
        )  # fmt: skip
        self._accepted = Counter(
            "aftercall_receiver_events", "Deliveries whose event is on disk, repeats included",
            ["source", "event_type"], registry=self.registry,
        )  # fmt: skip
        self._repeats = Counter(
            "aftercall_receiver_repeats", "Deliveries of an event that was on disk often enough: not landed again",
            ["source"], registry=self.registry,
        )  # fmt: skip
        self._bytes = Counter(
            "aftercall_receiver_landed_bytes", "Bytes of bodies that are on disk", registry=self.registry
        )
        self._commit_seconds = Histogram(
            "aftercall_receiver_commit_seconds", "One write and sync of the landing store",
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._commit_lines = Histogram(
            "aftercall_receiver_commit_lines", "Lines that one write and sync made durable",
            buckets=_LINES, registry=self.registry,
        )  # fmt: skip
        self._queue = Gauge(
            "aftercall_receiver_queue_requests", "Requests that wait for the disk", registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self._last_event = Gauge(
            "aftercall_receiver_last_event_timestamp_seconds", "When the last event of a source was on disk",
            ["source"], registry=self.registry, multiprocess_mode="max",
        )  # fmt: skip

    def answered(self, context: RequestContext, status: int) -> None:
        """Record the answer to one webhook request."""
        source = context.source
        self._new[self._requests, source, str(status)] += 1
        if status != 200:
            self._new[self._refused, source, context.reason or "error"] += 1
            return
        self._new[self._accepted, source, self.known_type(context.event_type)] += 1
        if context.is_repeat:
            self._new[self._repeats, source] += 1
        else:
            self._new[self._bytes,] += len(context.body)
        self._newest[source] = time.time()

    def flush(self, queued: int) -> None:
        """Add the recorded answers to the counters; `queued`: requests that wait for the disk now.

        Call it several times a second, in the thread that records: each count is a write into a file, too slow per
        request.
        """
        new, self._new = self._new, Counts()
        for (counter, *labels), count in new.items():
            (counter.labels(*labels) if labels else counter).inc(count)
        self._queue.set(queued)
        newest, self._newest = self._newest, {}
        for source, moment in newest.items():
            self._last_event.labels(source).set(moment)

    def committed(self, lines: int, seconds: float) -> None:
        """Record one batch of the landing store, written or failed."""
        self._commit_seconds.observe(seconds)
        self._commit_lines.observe(lines)

    @staticmethod
    def known_type(event_type: str | None) -> str:
        """An event type of the project, else `other`: a platform's own names would be an open list."""
        return event_type if event_type in _KNOWN_TYPES else "other"

    def text(self) -> bytes:
        """The metrics of all processes in Prometheus' text format."""
        directory = os.environ.get(DIRECTORY_VARIABLE)
        registry = self.registry
        if directory:
            _forget_the_dead(Path(directory))
            registry = CollectorRegistry()
            MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(self._looked_up)

    def collect(self) -> Iterator[Metric]:
        """The metrics whose values are read on request."""
        if self._free_bytes is None:
            return
        with contextlib.suppress(OSError):
            yield GaugeMetricFamily(
                "aftercall_receiver_landing_free_bytes", "Free bytes on the landing disk", self._free_bytes()
            )


def _forget_the_dead(directory: Path) -> None:
    """Drop the gauges of dead workers: their requests no longer wait. Their counters stay."""
    for path in directory.iterdir():
        live = _OF_A_LIVE_PROCESS.fullmatch(path.name)
        if live and not _is_alive(int(live[1])):
            mark_process_dead(int(live[1]), str(directory))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process by now
        return True
    return True
