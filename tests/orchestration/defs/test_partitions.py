"""Days as partitions: a pass shows the days it counted, a backfill counts its range anew and no other day."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration.config import OrchestrationSettings
from receiver.envelope import line, seal
from receiver.landing import open_landing
from receiver.sources import SOURCES

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DAYS = [NOW - timedelta(days=back) for back in (3, 2, 1)]
TABLES = ("call_metrics_daily", "call_volume", "call_concurrency", "scorecard_daily", "scorecard_weekly")


@pytest.fixture
def counted(installation: Any, dagster: dg.DagsterInstance, land: Callable[..., Any]) -> Any:
    """A home with calls on three days, after one pass in this process."""
    from orchestration.runtime import in_process

    for seed, day in enumerate(DAYS):
        land(installation.home, calls=6, start=day, seed=seed)
    store = open_landing(installation.home)
    body = {"event": "call.rated", "call_id": "c-1", "timestamp": DAYS[0].isoformat(), "stars": 4}
    sent = json.dumps(body).encode()
    store.append(line(seal("atoms", SOURCES["atoms"].facts(body, {}), sent, NOW), sent))
    store.close()
    in_process.one_pass(OrchestrationSettings(home=installation.home), dagster)
    return installation


def spoil(installation: Any, *days: datetime) -> None:
    """Make the counts of these days wrong, as a mistake in a model would have."""
    with duckdb.connect(str(installation.home / "warehouse.duckdb")) as connection:
        for day in days:
            connection.execute(
                "update marts.call_metrics_daily set follow_up_count = 999 where call_date = ?", [day.date()]
            )
            connection.execute("delete from marts.call_volume where call_date = ?", [day.date()])


def contents(installation: Any) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: installation.warehouse(f"select * exclude (last_loaded_at) from marts.{table} order by all")
        for table in TABLES
    }


def test_a_pass_shows_its_days_and_a_range_is_counted_anew(counted: Any, dagster: dg.DagsterInstance) -> None:
    from orchestration.defs.assets.models import BY_DAY_KEYS, models
    from orchestration.defs.resources import Aftercall

    keys = [f"{day:%Y-%m-%d}" for day in DAYS]
    assert {key.path[-1] for key in BY_DAY_KEYS} >= set(TABLES)
    for key in BY_DAY_KEYS:
        assert set(keys) <= dagster.get_materialized_partitions(key), key
    check = dg.AssetCheckKey(dg.AssetKey(["intermediate", "int_events_unioned"]), "warn_unknown_event_types")
    (record,) = dagster.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert record.event is not None
    assert record.event.dagster_event is not None
    said = record.event.dagster_event.asset_check_evaluation_data.description
    assert said is not None
    assert said.startswith("source atoms, event_type call.rated, event_count 1, last_")
    right = contents(counted)
    spoil(counted, *DAYS)
    result = dg.materialize(
        [models],
        selection=[dg.AssetKey(["marts", "call_metrics_daily"]), dg.AssetKey(["marts", "call_volume"])],
        instance=dagster,
        resources={"aftercall": Aftercall()},
        tags={"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[1]},
    )
    assert result.success
    made = {event.partition for event in result.get_asset_materialization_events()}
    assert made == set(keys[:2])
    wrong = counted.warehouse(
        "select distinct call_date::varchar from marts.call_metrics_daily where follow_up_count = 999"
    )
    assert wrong == [(keys[2],)]
    result = dg.materialize(
        [models],
        selection=[dg.AssetKey(["marts", "scorecard_daily"])],
        partition_key=keys[2],
        instance=dagster,
        resources={"aftercall": Aftercall()},
    )
    assert result.success
    assert contents(counted) == right
    assert OrchestrationSettings().home == counted.home
