"""Unusual days and a source that stays away: constructed calls and events in a built warehouse, judged as Dagster does.

Of unusual days ten weeks, published.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.defs.checks.anomalies import quality_checks
from orchestration.defs.checks.freshness import freshness_checks
from orchestration.defs.resources import Aftercall
from orchestration.monitoring import anomalies
from orchestration.warehouse import duckdb_file, publish
from tests.conftest import Installation

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
# 100 calls a day, 25 on two days in seven, of which yesterday is none; every second rates, 4 or 5; 5 % without a number
CALLS = """
insert into intermediate.int_calls_measured by name
with days as (
    select cast(unnest(generate_series($day::date - $days::int, $day::date, interval 1 day)) as date) as call_date
),
numbered as (
    select
        call_date,
        unnest(range(if(($day::date - call_date) % 7 in (2, 3), 25, 100) + (hash(call_date) % 7)::bigint)) as i
    from days
),
calls as (select *, call_date = $day::date as is_last from numbered)
select
    $source || ':' || call_date || ':' || i as call_key, $source as source, call_date || ':' || i as call_id,
    'agent' as agent_id, 'inbound' as direction, 'general' as issue_type,
    if(i % 20 = 0 or (is_last and $mute and i % 2 = 0), null, '+12025550100') as customer_phone,
    call_date::timestamp + interval 9 hour as began_at, call_date, 60.0 as duration_seconds,
    true as is_answered, true as is_resolved, i % 2 = 0 as is_rated,
    if(is_rated, if(is_last and $sad, 2, 4 + (i % 4) // 2), null) as satisfaction_score
from calls
where not (is_last and $dropped and i >= (select count(*) from calls where is_last) // 5)
"""
# source: what befell its last day, and its days of history
SOURCES = {
    "steady": ("", 70),
    "dropped": ("dropped", 70),
    "mute": ("mute", 70),
    "sad": ("sad", 70),
    "young": ("dropped", 20),
    "new": ("mute", 2),
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> OrchestrationSettings:
    """A warehouse built before anything came, and published."""
    home = tmp_path_factory.mktemp("quality") / "home"
    return OrchestrationSettings(home=Installation(home, 0).built().home)


def judged(
    settings: OrchestrationSettings,
    monkeypatch: pytest.MonkeyPatch,
    checks: list[dg.AssetChecksDefinition] = quality_checks,
) -> dict[str, dg.AssetCheckEvaluation]:
    monkeypatch.setenv("AFTERCALL_HOME", str(settings.home))
    job = dg.define_asset_job("checked", selection=dg.AssetSelection.checks(*checks))
    defs = dg.Definitions(
        assets=[dg.AssetSpec(["marts", "source_quality_daily"]), dg.AssetSpec(["raw", "call_events"])],
        asset_checks=checks,
        jobs=[job],
        resources={"aftercall": Aftercall()},
    )
    result = defs.resolve_job_def("checked").execute_in_process()
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_nothing_published_and_an_empty_warehouse_pass(
    empty: OrchestrationSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for settings in (OrchestrationSettings(home=tmp_path), empty):
        checks = judged(settings, monkeypatch)
        assert len(checks) == 3
        assert all(one.passed and one.description == "no day to judge yet" for one in checks.values())


def test_what_befell_the_last_day_is_said_and_nothing_else(
    empty: OrchestrationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb_file.connect(empty, read_only=False) as connection:
        for source, (what, days) in SOURCES.items():
            flags = {name: what == name for name in ("dropped", "mute", "sad")}
            connection.execute(CALLS, {"day": YESTERDAY, "days": days, "source": source, **flags})
    publish.publish(empty)
    checks = judged(empty, monkeypatch)
    unusual = {
        (one.source, one.measure, one.verdict)
        for kind in anomalies.KINDS
        for one in anomalies.last_day(empty, kind)
        if one.is_unusual
    }
    assert unusual == {
        ("dropped", "call_count", "too_low"),
        ("mute", "phone_null_rate", "too_high"),
        ("sad", "average_satisfaction", "too_low"),
    }
    said = checks["volume_is_usual"].description
    assert said is not None
    assert said.startswith(f"dropped, {YESTERDAY}: 2")
    assert f"{YESTERDAY:%A}s). Look at whether its webhooks arrive" in said
    assert {one.severity for one in checks.values()} == {dg.AssetCheckSeverity.WARN}
    assert not checks["null_rates_are_usual"].passed
    assert "mute" in str(checks["null_rates_are_usual"].description)
    young = {one.source for one in anomalies.last_day(empty, "volume") if one.verdict == "not_enough_history"}
    assert young == {"young", "new"}


def test_a_source_that_says_nothing_any_more_has_a_day_of_no_calls(empty: OrchestrationSettings) -> None:
    flags = {"dropped": False, "mute": False, "sad": False}
    with duckdb_file.connect(empty, read_only=False) as connection:
        quiet = {"day": YESTERDAY - timedelta(days=1), "days": 70, "source": "silent", **flags}
        connection.execute(CALLS, quiet)
    publish.publish(empty)
    silent = next(one for one in anomalies.last_day(empty, "volume") if one.source == "silent")
    assert (silent.call_date, silent.value, silent.days_before) == (YESTERDAY, 0, 8)


def test_a_source_that_stays_away_is_no_longer_fresh(
    empty: OrchestrationSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh(settings: OrchestrationSettings = empty) -> tuple[bool, dg.AssetCheckSeverity, str]:
        (check,) = judged(settings, monkeypatch, freshness_checks).values()
        return check.passed, check.severity, str(check.description)

    def newest(hours_ago: int) -> None:
        received = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=hours_ago)
        with duckdb_file.connect(empty, read_only=False) as connection:
            connection.execute("delete from raw.call_events")
            row = "select 'a' as event_key, 'a' as event_id, $at as received_at"
            connection.execute(f"insert into raw.call_events by name {row}", {"at": received})

    assert fresh(OrchestrationSettings(home=tmp_path))[2] == "nothing has come yet"
    assert fresh() == (True, dg.AssetCheckSeverity.ERROR, "nothing has come yet")
    newest(23)
    assert fresh()[0]
    newest(25)
    passed, severity, said = fresh()
    assert (passed, severity) == (False, dg.AssetCheckSeverity.WARN)
    assert said.startswith("the newest came 25.0 hours ago")
    newest(73)
    assert fresh()[:2] == (False, dg.AssetCheckSeverity.ERROR)
