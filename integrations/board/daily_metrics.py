"""The day's numbers, from the published copy alone, so that the board and BI tools show the same.

Every figure is defined as in `scorecard_daily`; a test compares the two. A day is the board's
(AFTERCALL_BOARD_TIME_ZONE); a call belongs to the day in which it began.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from integrations.board.published import PublishedCopy

PERIODS = {"today": 0, "yesterday": 1, "last_week": 7}

_QUERY = """
with
    moments as (
        select
            calls.began_at,
            calls.source || ':' || coalesce(calls.agent_id, 'unknown') as agent,
            outcomes.issue_type as issue,
            calls.status, calls.handle_seconds,
            outcomes.is_resolved, outcomes.is_unresolved, outcomes.satisfaction_score, outcomes.is_rated,
            outcomes.is_rated_1, outcomes.is_rated_2, outcomes.is_rated_3, outcomes.is_rated_4, outcomes.is_rated_5,
            outcomes.is_transfer_requested
        from calls
        inner join call_outcomes as outcomes on calls.call_key = outcomes.call_key
    ),

    periods as (
        select
            *,
            case
                when began_at >= $today_from and began_at < $today_to then 'today'
                when began_at >= $yesterday_from and began_at < $yesterday_to then 'yesterday'
                when began_at >= $last_week_from and began_at < $last_week_to then 'last_week'
            end as period
        from moments
        where began_at >= $last_week_from and began_at < $today_to
    )

select
    period,
    case when grouping(agent) = 0 then 'agent' when grouping(issue) = 0 then 'issue' else 'all' end as grain,
    coalesce(agent, issue) as name,
    count(*) as calls,
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where is_resolved) as resolved,
    count(*) filter (where is_unresolved) as unresolved,
    count(*) filter (where is_transfer_requested) as transfers,
    avg(handle_seconds) as duration,
    avg(satisfaction_score) as satisfaction,
    count(*) filter (where is_rated) as rated,
    count(*) filter (where is_rated_1) as score_1,
    count(*) filter (where is_rated_2) as score_2,
    count(*) filter (where is_rated_3) as score_3,
    count(*) filter (where is_rated_4) as score_4,
    count(*) filter (where is_rated_5) as score_5
from periods
where period is not null
group by grouping sets ((period), (period, agent), (period, issue))
order by calls desc, name
"""

_HOURS = """
select
    date_diff('hour', $start, began_at) as hour,
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where is_resolved) as resolved,
    count(*) filter (where is_unresolved) as unresolved
from calls
inner join call_outcomes using (call_key)
where began_at >= $start and began_at < $until
group by all
"""

_MEDIAN = """
select median(seconds_from_call_end_to_sent) as seconds
from actions
where call_ended_at >= $start and call_ended_at < $until
"""

_NEWEST = "select max(updated_at) as received_at, max(call_date) as call_date from calls"

_CALLS = """
select calls.call_key, outcomes.satisfaction_score, calls.duration_seconds
from calls
left join call_outcomes as outcomes on calls.call_key = outcomes.call_key
where calls.call_key in (select unnest($keys))
"""


@dataclass(frozen=True)
class Figures:
    """One period, agent or issue type. Shares are of the calls where it is known; durations in seconds."""

    calls: int = 0
    completed: int = 0
    resolved: float | None = None
    transfers: float | None = None
    duration: float | None = None
    satisfaction: float | None = None
    rated: int = 0
    scores: tuple[int, ...] = (0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Line:
    """One agent (`<source>:<agent id>`) or issue type, today and in the periods beside it."""

    name: str
    today: Figures
    yesterday: Figures
    last_week: Figures


@dataclass(frozen=True)
class Numbers:
    """A day until `until`, against the same time of the day before and of the week before; times aware UTC.

    By hour of the day: completed calls, and the share that was resolved.
    """

    day: date
    is_today: bool
    until: datetime
    published_at: datetime
    newest_at: datetime | None
    latest_day: date | None
    today: Figures
    yesterday: Figures
    last_week: Figures
    hours: list[int] = field(default_factory=list)
    resolved_hours: list[float | None] = field(default_factory=list)
    median_seconds: float | None = None
    agents: list[Line] = field(default_factory=list)
    issues: list[Line] = field(default_factory=list)


def numbers(copy: PublishedCopy, zone: ZoneInfo, day: date | None = None) -> Numbers | None:
    """The numbers of a day, by default of today; None before the first publish."""
    with copy.opened() as snapshot:
        published_at = copy.published_at()
        if snapshot is None or published_at is None:
            return None
        today = datetime.now(zone).date()
        chosen = day or today
        until = _until(chosen, published_at.astimezone(zone), zone)
        spans = _spans(chosen, until, zone)
        figures = {
            (row["period"], row["grain"], row["name"]): _figures(row)
            for row in snapshot.records(_QUERY, spans)
        }
        day_so_far = {"start": spans["today_from"], "until": spans["today_to"]}
        by_hour = {row["hour"]: row for row in snapshot.records(_HOURS, day_so_far)}
        (timing,) = snapshot.records(_MEDIAN, day_so_far)
        (newest,) = snapshot.records(_NEWEST)
    hours = max(1, -(-int((spans["today_to"] - spans["today_from"]).total_seconds()) // 3600))
    in_turn = [by_hour.get(hour, {}) for hour in range(min(hours, 25))]
    return Numbers(
        day=chosen,
        is_today=chosen == today,
        until=until.astimezone(UTC),
        published_at=published_at,
        newest_at=newest["received_at"].replace(tzinfo=UTC) if newest["received_at"] else None,
        latest_day=newest["call_date"],
        **{period: figures.get((period, "all", None), Figures()) for period in PERIODS},
        hours=[hour.get("completed", 0) for hour in in_turn],
        resolved_hours=[_resolved(hour) if hour else None for hour in in_turn],
        median_seconds=timing["seconds"],
        agents=_lines(figures, "agent"),
        issues=_lines(figures, "issue"),
    )


def copied(copy: PublishedCopy, call_keys: list[str]) -> dict[str, dict[str, Any]]:
    """Of these calls, those in the copy: `satisfaction_score`, 1 to 5, and `duration_seconds`, each None if unknown."""
    with copy.opened() as snapshot:
        rows = snapshot.records(_CALLS, {"keys": call_keys}) if snapshot else []
    return {row["call_key"]: row for row in rows}


def _until(day: date, published_at: datetime, zone: ZoneInfo) -> datetime:
    """Where the day ends so far: what happened after the copy was published is not in it."""
    if day == published_at.date():
        return published_at
    return _midnight(day, zone, 1) if day < published_at.date() else datetime.now(zone)


def _midnight(day: date, zone: ZoneInfo, later_days: int = 0) -> datetime:
    return datetime.combine(day + timedelta(days=later_days), time(), zone)


def _spans(day: date, until: datetime, zone: ZoneInfo) -> dict[str, datetime]:
    """Start and end of each period, UTC without a zone as the marts have it; days are those of the wall clock."""
    spans = {}
    for name, days in PERIODS.items():
        spans[f"{name}_from"] = _naive(_midnight(day, zone, -days))
        spans[f"{name}_to"] = _naive(until - timedelta(days=days))
    return spans


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _figures(row: dict[str, Any]) -> Figures:
    return Figures(
        calls=row["calls"],
        completed=row["completed"],
        resolved=_resolved(row),
        transfers=row["transfers"] / row["calls"] if row["calls"] else None,
        duration=row["duration"],
        satisfaction=row["satisfaction"],
        rated=row["rated"],
        scores=tuple(row[f"score_{score}"] for score in range(1, 6)),
    )


def _resolved(row: dict[str, Any]) -> float | None:
    known = row["resolved"] + row["unresolved"]
    return row["resolved"] / known if known else None


def _lines(figures: dict[tuple[str, str, str | None], Figures], grain: str) -> list[Line]:
    names = [name for period, kind, name in figures if kind == grain and period == "today" and name]
    return [
        Line(name, **{period: figures.get((period, grain, name), Figures()) for period in PERIODS})
        for name in names
    ]
