"""Whatever a list API says of one call, it is a row and an event: one strange call must not keep all others out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from orchestration.recovery import PLATFORMS
from orchestration.recovery.listed_calls import row_of
from orchestration.recovery.platform import ended
from orchestration.recovery.reconciliation import Missing
from orchestration.recovery.write_events import lines_of
from tests.hostile_values import replaced
from tests.orchestration.recovery.dialects import DIALECTS

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
MISSING = Missing("c1", "{}", None, frozenset({"call.end", "analytics.completed"}))


@pytest.mark.parametrize("name", PLATFORMS)
def test_no_value_anywhere_stops_a_recovery(name: str) -> None:
    platform, call = PLATFORMS[name], DIALECTS[name].call(1, NOW, 60)
    for path, odd in replaced(call):
        row = row_of(platform, call, NOW, timedelta(minutes=15))
        assert row["call_key"].startswith(f"{name}:"), (path, odd)
        for landed in lines_of(platform, MISSING, call, NOW, NOW):
            assert orjson.loads(landed.partition(b',"payload":')[0] + b"}")["occurred_at"], (path, odd)


@pytest.mark.parametrize("ended_at", [None, NOW + timedelta(days=2), NOW - timedelta(days=3)])
@pytest.mark.parametrize("days", [1, 2, 365])
def test_a_time_still_to_come_does_not_make_an_old_call_one_of_today(
    days: int, ended_at: datetime | None
) -> None:
    since, of_body = NOW - timedelta(days=30), NOW + timedelta(days=days)
    missing = replace(MISSING, ended_at=ended_at)
    call = DIALECTS["retell"].call(1, of_body - timedelta(seconds=60), 60)
    landed = [orjson.loads(one) for one in lines_of(PLATFORMS["retell"], missing, call, since, NOW)]
    is_listed = ended_at is not None and ended_at < NOW
    expected = of_body if days == 1 else ended_at if is_listed else since
    assert {datetime.fromisoformat(one["occurred_at"]) for one in landed} == {expected}


@pytest.mark.parametrize(
    ("lasted", "unit_seconds", "seconds"),
    [(90, 1, 90), (1500, 0.001, 1.5), (1.5, 60, 90), (-1, 1, 0), ("60", 1, 0), (None, 1, 0), (1e9, 1, 0),
     (10**400, 0.001, 0)],
)  # fmt: skip
def test_the_end_of_a_call(lasted: object, unit_seconds: float, seconds: float) -> None:
    assert ended(NOW, lasted, unit_seconds) == NOW + timedelta(seconds=seconds)


def test_the_end_of_time() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert (ended(last, 60), ended(None, 60)) == (last, None)


@pytest.mark.parametrize(("ahead", "is_known"), [(timedelta(hours=1), True), (timedelta(days=365), False)])
def test_a_creation_that_is_still_to_come_moves_no_cursor(ahead: timedelta, is_known: bool) -> None:
    call = DIALECTS["atoms"].call(1, NOW + ahead, 60)
    row = row_of(PLATFORMS["atoms"], call, NOW, timedelta(minutes=15))
    assert row["created_at"] == ((NOW + ahead).replace(tzinfo=None) if is_known else None)
