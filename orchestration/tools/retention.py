"""Keeping house in the landing store: what is closed and loaded is compressed, and removed when its time is over.

Decides which segments; how one is compressed or removed without being lost belongs to `receiver.landing`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orchestration.config import OrchestrationSettings
from orchestration.load import cursor, pipeline
from orchestration.warehouse import open_warehouse
from receiver.landing import LandingStore, Segment, SegmentDamaged, SegmentOpen, open_landing

NOT_LOADED = "not loaded yet"


@dataclass
class TidyReport:
    """What one round did: segments and bytes, before and after.

    `kept` counts, by reason, the segments that were to be compressed or removed and are not.
    """

    archived: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    removed: int = 0
    removed_bytes: int = 0
    untouched: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    stored_bytes: int = 0
    seconds: float = 0.0

    def leave(self, reason: str) -> None:
        """Count a segment that is left as it is."""
        self.untouched[reason] = self.untouched.get(reason, 0) + 1


def tidy(
    settings: OrchestrationSettings,
    now: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TidyReport:
    """Compress every closed segment that is loaded, and remove those older than `landing_retention_days`.

    The warehouse itself says what is loaded, not what a load that was killed had meant to load; it is held only
    while it is asked. `progress` gets segments done and segments in all. Raises WarehouseBusy.
    """
    started = time.monotonic()
    limit = _removed_before(settings, now or datetime.now(UTC))
    store, report = open_landing(settings.landing), TidyReport()
    with open_warehouse(settings).reading():
        state = pipeline.loaded_positions(settings)
    segments = list(store.segments())
    for number, segment in enumerate(segments, 1):
        _tidy_one(store, segment, state, limit, report)
        if progress is not None:
            progress(number, len(segments))
    left = list(store.segments())
    report.segments, report.stored_bytes = len(left), sum(segment.stored_bytes for segment in left)
    report.seconds = time.monotonic() - started
    return report


def _removed_before(settings: OrchestrationSettings, now: datetime) -> datetime | None:
    days = settings.landing_retention_days
    return now - timedelta(days=days) if days else None


def _tidy_one(
    store: LandingStore,
    segment: Segment,
    state: dict[str, object],
    limit: datetime | None,
    report: TidyReport,
) -> None:
    is_old = limit is not None and segment.written_at < limit
    if segment.is_archived and not is_old:
        return
    try:
        if not cursor.is_loaded(store, segment, state):
            report.leave(NOT_LOADED)
            return
        if not segment.is_archived:
            archived = store.compact(segment)
            report.archived += 1
            report.bytes_before += segment.stored_bytes
            report.bytes_after += archived.stored_bytes
            segment = archived
        if is_old:
            store.remove(segment.path)
            report.removed += 1
            report.removed_bytes += segment.stored_bytes
    except (SegmentOpen, SegmentDamaged) as reason:
        report.leave(str(reason))
    except FileNotFoundError:
        return  # another housekeeper has just seen to it
    except OSError as error:
        report.leave(error.strerror or str(error))
