"""Where each listed call stands: which of its events came by webhook, which were recovered, which are missing.

Compares with the warehouse and with what has landed and is not loaded yet. Asks no network.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa

from orchestration.config import OrchestrationSettings
from orchestration.load import cursor, pipeline
from orchestration.load.tables import ensure_tables
from orchestration.recovery.platform import MARK, Bounds
from orchestration.warehouse import open_warehouse
from receiver.envelope import read_line
from receiver.landing import open_landing

_LANDED = pa.schema([("call_id", pa.string()), ("event_type", pa.string()), ("event_id", pa.string())])
# a call created at an unknown time counts for the day on which it ended or was listed
_STANDING = """
with
    expected as (
        select
            call_id,
            cast(coalesce(created_at, ended_at, listed_at) as date) as day,
            call,
            ended_at,
            unnest(string_split(expected_events, ',')) as event_type
        from raw.listed_calls
        where
            source = $source
            and expected_events <> ''
            and (created_at is null or created_at >= $since)
            and (created_at is null or created_at < $until)
    ),
    events as (
        select call_id, event_type, event_id from raw.call_events where source = $source
        union all
        -- set aside is not missing
        select call_id, event_type, event_id from raw.quarantined_events where source = $source
        union all
        select call_id, event_type, event_id from landed
    ),
    standing as (
        select
            expected.*,
            coalesce(bool_or(not starts_with(events.event_id, $mark)), false) as is_received,
            coalesce(bool_or(starts_with(events.event_id, $mark)), false) as is_recovered
        from expected
        left join events on expected.call_id = events.call_id and expected.event_type = events.event_type
        group by all
    )
"""
_MISSING = f"""{_STANDING}
select call_id, any_value(call), any_value(ended_at), list(event_type order by event_type)
from standing
where not is_received and not is_recovered
group by call_id
order by any_value(ended_at), call_id
"""  # noqa: S608 - constants only
_DAYS = f"""{_STANDING},
calls as (
    select day, call_id, bool_and(is_received) as is_received, bool_and(is_received or is_recovered) as is_known
    from standing
    group by all
)
select
    day,
    count(*),
    count(*) filter (where is_received),
    count(*) filter (where is_known and not is_received),
    count(*) filter (where not is_known)
from calls
group by day
order by day
"""  # noqa: S608 - constants only


@dataclass(frozen=True)
class Missing:
    """A call of which events are missing: what the list said of it (JSON), and when it ended (UTC) if known."""

    call_id: str
    call: str
    ended_at: datetime | None
    event_types: frozenset[str]


@dataclass(frozen=True)
class Day:
    """Calls created on a day (UTC) and over: all, those whose webhooks all came, those recovered, those missing."""

    day: date
    listed: int
    received: int
    recovered: int
    missing: int

    @property
    def loss_percent(self) -> float:
        """Share of the calls that did not come whole by webhook."""
        return 100 * (self.listed - self.received) / self.listed


@dataclass(frozen=True)
class Standing:
    """What is missing of a source, the call that ended first first; and its days, in order."""

    missing: list[Missing]
    days: list[Day]


def standing(settings: OrchestrationSettings, source: str, bounds: Bounds) -> Standing:
    """Calls created within bounds, as they were listed last. Raises WarehouseBusy."""
    known = {
        "source": source,
        "since": _naive(bounds.since),
        "until": _naive(bounds.until),
        "mark": f"{MARK}:",
    }
    warehouse = open_warehouse(settings)
    with warehouse.writing():
        ensure_tables(settings)
        landed = _not_loaded(settings, source)
        with warehouse.connect() as connection, connection.with_table("landed", landed):
            missing = [
                Missing(call_id, call, _utc(ended_at), frozenset(types))
                for call_id, call, ended_at, types in connection.rows(_MISSING, known)
            ]
            days = [Day(*row) for row in connection.rows(_DAYS, known)]
    return Standing(missing, days)


def _not_loaded(settings: OrchestrationSettings, source: str) -> pa.Table:
    """Events of a source behind the load's cursors, as the warehouse has them."""
    store, state = open_landing(settings.landing), pipeline.loaded_positions(settings)
    columns: dict[str, list[str | None]] = {name: [] for name in _LANDED.names}
    for piece in store.read_all(cursor.unread(store, state)):
        for line in piece.data.splitlines():
            event = read_line(line)
            if event is not None and event.source == source and event.event_id:
                for name, values in columns.items():
                    values.append(getattr(event, name))
    return pa.table(columns, _LANDED)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
