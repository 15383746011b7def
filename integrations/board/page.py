"""The parts of the first page: rendered once for all viewers, whenever what they show has changed.

One thread follows the published copy and the outbox; `landing_feed` brings the live state. What a part looks like is in
`templates/parts/`.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from datetime import time as clock_time
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from integrations.board import actions
from integrations.board.actions import Summary
from integrations.board.broadcaster import Broadcaster
from integrations.board.config import BoardSettings
from integrations.board.daily_metrics import Numbers, copied, numbers
from integrations.board.health import Surroundings
from integrations.board.live_calls import LiveView
from integrations.board.published import CopyUnreadable, PublishedCopy
from integrations.config import IntegrationSettings
from integrations.outbox import Attention, Outbox

LOG = logging.getLogger("aftercall.board")
PARTS = ("health", "attention", "floor", "numbers", "active", "feed", "after")
POLL_SECONDS = 0.5
RETRY_SECONDS = 5.0
ATTENTION_SECONDS = 5.0
"""What needs attention is looked up so often though nothing was written: time alone makes some of it."""
LATE_SECONDS = 60.0
SHOWN_CALLS = 60
SHOWN_UNENDED = 10

Render = Callable[..., str]


class Page(threading.Thread):
    """Puts parts into the broadcaster for as long as the process lives."""

    def __init__(
        self,
        settings: BoardSettings,
        systems: IntegrationSettings,
        broadcaster: Broadcaster,
        copy: PublishedCopy,
        outbox: Outbox,
        render: Render,
    ) -> None:
        super().__init__(name="parts", daemon=True)
        self._settings, self._systems = settings, systems
        self._broadcaster, self._copy, self._outbox = broadcaster, copy, outbox
        self._render = render
        self._live = LiveView()
        self._around = Surroundings()
        self._numbers: Numbers | None = None
        self._copied: dict[str, dict[str, Any]] = {}
        self._summary: Summary | None = None
        self._attention: Attention | None = None
        self._problem = ""
        self._ended = threading.Event()
        self._drawing = threading.RLock()

    def show_live(self, view: LiveView) -> None:
        """Take the newest live state; called by the thread of the landing feed."""
        self._live = view
        shown = {"live": view, "calls": view.active[:SHOWN_CALLS], "unended": view.unended[:SHOWN_UNENDED]}
        self._put("active", **shown)
        self._draw_feed()
        self._draw_shared()

    def show_around(self, around: Surroundings) -> None:
        """Take the newest look around; called by the thread of the health watch."""
        self._around = around

    def run(self) -> None:
        """Until `stop`."""
        copy_version: Any = ()
        outbox_version: Any = ()
        looked: tuple[Any, ...] = ()
        looked_at = 0.0
        while not self._ended.is_set():
            today = datetime.now(self._settings.zone).date()
            try:
                # what arrives from now on is in no copy before the next
                if (version := (self._copy.version(), today, self._live.is_current)) != copy_version:
                    self._numbers = numbers(self._copy, self._settings.zone)
                    call_keys = [f"{item.source}:{item.call_id}" for item in self._live.feed]
                    self._copied = copied(self._copy, call_keys)
                    self._draw_feed()
                    copy_version = version
                if (written := (self._outbox.version(), today)) != outbox_version:
                    midnight = datetime.combine(today, clock_time(), self._settings.zone)
                    self._summary = actions.summary(self._outbox, midnight.astimezone(UTC))
                    outbox_version = written
                findings = self._around.findings or ()
                if (written, findings) != looked or time.monotonic() - looked_at > ATTENTION_SECONDS:
                    looked, looked_at = (written, findings), time.monotonic()
                    self._attention = self._outbox.needs_attention(self._systems, datetime.now(UTC), findings)
                self._problem = ""
            except (OSError, SQLAlchemyError, CopyUnreadable) as error:
                self._problem = f"cannot be read: {type(error).__name__}"
                LOG.error("The board cannot read the published copy or the outbox.", exc_info=error)
                copy_version = outbox_version = looked = ()
                self._ended.wait(RETRY_SECONDS)
            self._put("after", summary=self._summary)
            self._put(
                "attention",
                attention=self._attention,
                problem=self._problem,
                is_known=self._around.findings is not None,
            )
            self._draw_shared()
            self._ended.wait(POLL_SECONDS)

    def stop(self) -> None:
        """End within a moment."""
        self._ended.set()

    def _draw_feed(self) -> None:
        with self._drawing:  # two threads draw it, and the older state must not come last
            self._put("feed", live=self._live, copied=self._copied, receiver=self._settings.receiver_bind)

    def _draw_shared(self) -> None:
        """The tiles and the line at the top, of which the latter shows both the live state and the marts."""
        live, day = self._live, self._numbers
        # not one part: whoever shows the numbers of a day asks for them anew when that part has news
        self._put("floor", live=live)
        self._put("numbers", numbers=day)
        waiting = live.oldest_after(day.newest_at if day else None)
        late = waiting is not None and (datetime.now(UTC) - waiting).total_seconds() > LATE_SECONDS
        self._put(
            "health",
            live=live,
            numbers=day,
            around=self._around,
            waiting=waiting,
            is_late=late,
            failed=self._summary.total("failed") if self._summary else 0,
            dagster=self._settings.dagster_bind,
        )

    def _put(self, name: str, **shown: Any) -> None:
        with self._drawing:
            self._broadcaster.put(name, self._render(f"parts/{name}.html.j2", **shown))
