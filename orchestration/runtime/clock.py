"""Repair after the clock was set back: times that Dagster recorded in the future become now.

Otherwise no sensor and no schedule runs until the clock reaches them. Our own waits use a clock that only runs
forward, or end where a time lies in the future.
"""

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

_SLACK_SECONDS = 2.0
_MOST_TICKS = 10_000


def bring_back(instance: "dg.DagsterInstance", now: float) -> int:
    """The number of corrected times: all that sensors and schedules go by and that lie after `now` (epoch seconds)."""
    corrected = 0
    for state in instance.all_instigator_state():
        data = state.instigator_data
        if data is not None:
            ahead: dict[str, Any] = {
                name: now
                for name, value in data._asdict().items()
                if name.endswith("timestamp") and value is not None and value > now
            }
            if ahead:
                instance.update_instigator_state(state.with_data(data._replace(**ahead)))
                corrected += len(ahead)
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, after=now, limit=_MOST_TICKS
        )
        for tick in ticks:
            instance.update_tick(tick._replace(tick_data=tick.tick_data._replace(timestamp=now)))
        corrected += len(ticks)
    return corrected


def bring_back_apart(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process that runs `bring_back`, so that `aftercall up` need not import Dagster."""
    return subprocess.Popen([sys.executable, "-m", "orchestration.runtime.clock"], env=dict(environment))


@dataclass
class ClockWatch:
    """Notices that the clock was set back, also between two looks."""

    _ahead_by: float | None = None

    def was_set_back(self) -> bool:
        """True at the first look, and at each look after the clock was set back."""
        ahead_by, before = time.time() - time.monotonic(), self._ahead_by
        self._ahead_by = ahead_by
        return before is None or ahead_by < before - _SLACK_SECONDS


if __name__ == "__main__":
    import dagster

    with dagster.DagsterInstance.get() as opened:
        bring_back(opened, time.time())
