"""Whether the systems around the board work: Dagster and the receiver answer, and how old the last load is."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import requests

from integrations import receiver_watch
from integrations.board.config import BoardSettings
from integrations.board.published import PublishedCopy
from integrations.outbox import Finding

LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Surroundings:
    """The state of the systems around the board.

    `loaded_at`: when events were loaded last, UTC; None before the first load. `dagster`: whether it answers.
    `findings`: what is wrong with the receiver; None: not known yet.
    """

    loaded_at: datetime | None = None
    dagster: bool = False
    findings: tuple[Finding, ...] | None = None

    @property
    def receiver(self) -> bool | None:
        """Whether the receiver takes events; None: not known yet."""
        if self.findings is None:
            return None
        return all(finding.key != receiver_watch.RECEIVER for finding in self.findings)


class HealthWatch(threading.Thread):
    """Checks every five seconds, in a thread of its own: a system that does not answer holds up nothing else."""

    def __init__(
        self, settings: BoardSettings, copy: PublishedCopy, show: Callable[[Surroundings], None]
    ) -> None:
        """`show` is called with the result of each look, from this thread."""
        super().__init__(name="watch", daemon=True)
        self._settings, self._copy, self._show = settings, copy, show
        self._samples: list[receiver_watch.Sample] = []
        self._down_since: datetime | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._ended.is_set():
            self._show(self.look())
            self._ended.wait(LOOK_SECONDS)

    def look(self) -> Surroundings:
        """Check each system once; takes some seconds if one does not answer."""
        settings = self._settings
        bind = settings.receiver_bind
        findings = receiver_watch.receiver_findings(bind)
        self._down_since = (self._down_since or datetime.now(UTC)) if findings else None
        findings = [replace(finding, since=self._down_since) for finding in findings]
        newest = receiver_watch.sample(bind, datetime.now(UTC)) if not findings else None
        if newest is not None:
            self._samples = receiver_watch.watched(self._samples, newest)
        return Surroundings(
            self._copy.loaded_at(),
            _answers(settings.dagster_bind),
            (*findings, *receiver_watch.refused_webhooks(self._samples)),
        )

    def stop(self) -> None:
        """End within a moment."""
        self._ended.set()


def _answers(bind: str) -> bool:
    try:
        return requests.get(f"http://{bind}/server_info", timeout=2).ok
    except requests.RequestException:
        return False
