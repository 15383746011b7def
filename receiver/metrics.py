"""What the receiver counts for Prometheus. One registry per app, so that two apps in a process do not mix.

Labels come from closed lists only: a sender must not be able to invent series.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from receiver.sources.base import ANALYTICS_COMPLETED, CALL_END, CALL_START

_KNOWN_TYPES = {CALL_START, CALL_END, ANALYTICS_COMPLETED}


class Metrics:
    """Counters of one receiver process since its start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "aftercall_receiver_requests",
            "Answers to webhook requests",
            ["source", "status"],
            registry=self.registry,
        )
        self.events = Counter(
            "aftercall_receiver_events",
            "Deliveries that are on disk, duplicates included",
            ["source", "event_type"],
            registry=self.registry,
        )
        self.bytes = Counter(
            "aftercall_receiver_landed_bytes", "Bytes of bodies that are on disk", registry=self.registry
        )
        self.append_seconds = Histogram(
            "aftercall_receiver_append_seconds",
            "Time a request waits for its durable write",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )

    def landed(self, source: str, event_type: str | None, size: int) -> None:
        """Count one durable delivery."""
        label = event_type if event_type in _KNOWN_TYPES else "other"
        self.events.labels(source, label).inc()
        self.bytes.inc(size)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
