"""A span of time over the landing store: which segments may hold lines received in it, and which events were.

Reading and loading belong to `events.py` and `landed.py`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from receiver.landing import LandingStore, Segment

_STAMP = re.compile(r"/(\d{8}T\d{12})Z-")
# A writer opens a new segment with every hour of its clock, so one hour about the moments that a segment shows
# (its stamp, and when it was written last) holds all that it took, even when the clock was set in between.
_SLACK = timedelta(hours=1)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """Lines received from `since` on and before `until`, both aware."""

    since: datetime
    until: datetime

    def segments(self, store: LandingStore) -> Iterator[Segment]:
        """Segments that may hold such lines, in order."""
        return (segment for segment in store.segments() if self.may_be_in(segment))

    def may_be_in(self, segment: Segment) -> bool:
        """Whether a segment may hold such lines; never wrongly no."""
        moments = (_opened_at(segment), segment.written_at)
        return min(moments) - _SLACK < self.until and self.since <= max(moments) + _SLACK

    def only(self, events: pa.Table) -> pa.Table:
        """The events received in the window, by their column `received_at` (UTC without zone)."""
        received = events["received_at"]
        return events.filter(
            pc.and_(pc.greater_equal(received, _scalar(self.since)), pc.less(received, _scalar(self.until)))
        )


def _opened_at(segment: Segment) -> datetime:
    stamp = _STAMP.search(segment.path)
    if stamp is None:
        return segment.written_at
    return datetime.strptime(stamp[1], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def _scalar(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))


def window_parts(segments: Sequence[Segment], most_bytes: int) -> Iterator[list[Segment]]:
    """Segments in order, as many at a time as `most_bytes` hold, but at least one."""
    part: list[Segment] = []
    for segment in segments:
        if part and sum(one.size for one in part) + segment.size > most_bytes:
            yield part
            part = []
        part.append(segment)
    if part:
        yield part
