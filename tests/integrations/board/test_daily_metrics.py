"""The day's numbers out of a small published copy, at a moment of its own."""

import os
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from integrations.board.daily_metrics import Figures, Line, Numbers, copied, numbers
from orchestration.tools.board_copy import BoardCopy
from orchestration.warehouse.copy_files import PublishedFile

MONDAY = date(2026, 11, 2)
THREE = datetime(2026, 11, 2, 15, tzinfo=UTC)
CALLS = """
create table calls as select *, call_key as call_id, 'atoms' as source, cast(began_at as date) as call_date,
    began_at as updated_at,
    case when status = 'completed' then duration_seconds end as handle_seconds from (values
    ('now 1', timestamp '2026-11-02 14:59', 'nora', 'completed', 60),
    ('now 2', timestamp '2026-11-02 00:30', 'nora', 'completed', 120),
    ('now 3', timestamp '2026-11-02 09:00', 'theo', 'no_answer', null),
    ('later', timestamp '2026-11-02 15:01', 'nora', 'completed', 600),
    ('yesterday', timestamp '2026-11-01 14:59', 'nora', 'completed', 30),
    ('yesterday, later', timestamp '2026-11-01 15:01', 'nora', 'completed', 600),
    ('last week', timestamp '2026-10-26 14:59', 'theo', 'completed', 90),
    ('last week, the day after', timestamp '2026-10-27 10:00', 'theo', 'completed', 600)
) as _(call_key, began_at, agent_id, status, duration_seconds);
create table call_outcomes as select *, not is_resolved as is_unresolved, satisfaction_score is not null as is_rated,
    satisfaction_score = 1 as is_rated_1, satisfaction_score = 2 as is_rated_2, satisfaction_score = 3 as is_rated_3,
    satisfaction_score = 4 as is_rated_4, satisfaction_score = 5 as is_rated_5 from (values
    ('now 1', 'billing', true, 5, false), ('now 2', 'billing', false, 2, true),
    ('now 3', 'general', null, null, false), ('yesterday', 'billing', true, 4, false),
    ('last week', 'billing', false, 1, true), ('later', 'billing', true, 5, false),
    ('yesterday, later', 'billing', true, 5, false), ('last week, the day after', 'general', true, 5, false)
) as _(call_key, issue_type, is_resolved, satisfaction_score, is_transfer_requested);
create table actions as select * from (values
    (4.0, 'sent', timestamp '2026-11-02 10:00'), (8.0, 'sent', timestamp '2026-11-02 11:00'),
    (900.0, 'sent', timestamp '2026-11-01 11:00'), (null, 'dead', timestamp '2026-11-02 11:00')
) as _(seconds_from_call_end_to_sent, status, call_ended_at);
"""


@pytest.fixture
def copy(tmp_path: Path) -> BoardCopy:
    path = tmp_path / "marts.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(CALLS)
    os.utime(path, (THREE.timestamp(), THREE.timestamp()))
    return BoardCopy(PublishedFile(path), path)


def of(copy: BoardCopy, day: date = MONDAY, zone: str = "UTC") -> Numbers:
    result = numbers(copy, ZoneInfo(zone), day)
    assert result is not None
    return result


def test_a_day_until_the_copy_was_published_stands_beside_the_same_time_of_the_days_before(
    copy: BoardCopy,
) -> None:
    result = of(copy)
    assert (result.published_at, result.until) == (THREE, THREE)
    assert result.today == Figures(3, 2, 0.5, 1 / 3, 90.0, 3.5, 2, (0, 1, 0, 0, 1))
    assert result.yesterday == Figures(1, 1, 1.0, 0.0, 30.0, 4.0, 1, (0, 0, 0, 1, 0))
    assert result.last_week == Figures(1, 1, 0.0, 1.0, 90.0, 1.0, 1, (1, 0, 0, 0, 0))
    assert result.median_seconds == 6.0
    assert (len(result.hours), result.hours[0], result.hours[14], sum(result.hours)) == (15, 1, 1, 2)
    assert result.resolved_hours == [0.0, *[None] * 13, 1.0]


def test_agents_and_issue_types_have_the_same_three_periods(copy: BoardCopy) -> None:
    result = of(copy)
    nora = Line(
        "atoms:nora", Figures(2, 2, 0.5, 0.5, 90.0, 3.5, 2, (0, 1, 0, 0, 1)), result.yesterday, Figures()
    )
    assert [line.name for line in result.agents] == ["atoms:nora", "atoms:theo"]
    assert result.agents[0] == nora
    assert {line.name: line.last_week.calls for line in result.issues} == {"billing": 1, "general": 0}


def test_a_day_that_is_over_is_whole(copy: BoardCopy) -> None:
    result = of(copy, date(2026, 11, 1))
    assert (result.today.completed, result.is_today, len(result.hours)) == (2, False, 24)


def test_a_day_begins_in_its_zone_where_a_change_of_the_clock_is_no_hour_of_another_day(
    copy: BoardCopy,
) -> None:
    new_york = of(copy, zone="America/New_York")
    assert (new_york.today.calls, new_york.yesterday.calls, new_york.last_week.calls) == (2, 1, 0)
    assert len(of(copy, date(2026, 11, 1), "America/New_York").hours) == 25


def test_scores_and_durations_are_those_of_the_calls_that_are_asked_for(copy: BoardCopy) -> None:
    calls = copied(copy, ["now 1", "now 3", "nobody's"])
    known = {key: (call["satisfaction_score"], call["duration_seconds"]) for key, call in calls.items()}
    assert known == {"now 1": (5, 60), "now 3": (None, None)}
    assert copied(copy, []) == {}


def test_without_a_copy_there_are_none(tmp_path: Path) -> None:
    assert numbers(BoardCopy(PublishedFile(tmp_path / "none.duckdb"), tmp_path), ZoneInfo("UTC")) is None
