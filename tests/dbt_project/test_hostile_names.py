"""Events with very many names, turns and measures, and ids made of the separators of keys: one pass builds them all.

The build has 600 MB. Looking for each of 16,000 names among all of them would take several gigabytes per event.
"""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

MACROS = Path(__file__).parents[2] / "dbt_project" / "macros"
NAMES, KEPT, TURNS = 16_000, 1_000, 60_000
SEPARATORS = [":", "#", "\\", "|", "@", "~", "a", "1"]
IDS = [":".join(parts) for parts in itertools.product(("a", "b", "\\", "#2"), repeat=2)] + SEPARATORS
Land = Callable[[str, bytes, bool], "Event"]


def fields(prefix: str) -> dict[str, str]:
    return {f"{prefix}_{number}": str(number) for number in range(NAMES)}


def turns(role: str, text: str) -> list[dict[str, Any]]:
    return [{role: "user" if number % 2 else "agent", text: f"word {number}"} for number in range(TURNS)]


def many() -> list[tuple[str, Any]]:
    """An event per platform that sends measures or variables of its users' own making; of all, as many as fit."""
    retell = {
        "call_id": "many", "call_status": "ended", "start_timestamp": 1793606400000, "end_timestamp": 1793606500000,
        "metadata": fields("m"), "retell_llm_dynamic_variables": fields("v"),
        "collected_dynamic_variables": fields("v"),
        "transcript_object": turns("role", "content"),
        "call_analysis": {"custom_analysis_data": fields("c"), "call_successful": True},
    }  # fmt: skip
    results = {name: {"value": value, "rationale": "said"} for name, value in fields("r").items()}
    eleven = {
        "conversation_id": "many", "status": "done", "transcript": turns("role", "message"),
        "metadata": {"start_time_unix_secs": 1793606400, "call_duration_secs": 60,
                     "feedback": {"comment": "x" * 99_999}},
        "analysis": {"data_collection_results": results, "evaluation_criteria_results": results},
        "conversation_initiation_client_data": {"dynamic_variables": fields("v")},
    }  # fmt: skip
    judged = fields("j") | {f"j_{number}_feedback": f"because {number}" for number in range(NAMES)}
    synthflow = {"call": {"call_id": "many", "status": "completed", "duration": 60}, "analysis": judged,
                 "lead": {"prompt_variables": fields("v")}}  # fmt: skip
    wire = {
        "agentId": "a", "eventType": "analytics-completed", "callId": "many", "variables": fields("v"),
        "analytics": {"dispositionMetrics": [{"identifier": n, "value": v} for n, v in fields("d").items()] * 2},
    }  # fmt: skip
    return [
        ("retell", {"event": "call_analyzed", "call": retell}),
        ("elevenlabs", {"type": "post_call_transcription", "event_timestamp": 1793606460, "data": eleven}),
        ("synthflow", synthflow),
        ("atoms", {"id": "many", "event": "a.analytics-completed", "metadata": wire}),
    ]


def separated() -> list[tuple[str, Any]]:
    """Calls, agents, measures and variables that are named by separators only."""
    names = dict.fromkeys(IDS, "1")
    return [
        (
            "generic",
            {
                "type": "call.end",
                "timestamp": "2026-11-02T08:00:00Z",
                "data": {
                    "call_id": call_id, "agent_id": call_id, "duration_seconds": 60, "metrics": names,
                    "variables": names, "direction": "inbound", "ended_at": "2026-11-02T08:00:00Z",
                },
            },
        )
        for call_id in IDS
    ]  # fmt: skip


@pytest.fixture(scope="module")
def built(built_warehouse: "Callable[[], Warehouse]", land: Land) -> "Warehouse":
    warehouse = built_warehouse()
    warehouse.load([land(source, json.dumps(body).encode(), False) for source, body in many() + separated()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFTERCALL_DUCKDB_MEMORY", "600MB")
        warehouse.build_pass()
    return warehouse


def test_an_event_with_very_many_names_keeps_the_first_of_them(built: "Warehouse") -> None:
    rows = built.rows(
        "select source, len(metrics) as measures, cardinality(variables) as variables, names_left_out, turn_count "
        "from intermediate.int_calls_merged where call_id = 'many' order by source"
    )
    counts_by_source = {row["source"]: (row["measures"], row["variables"], row["turn_count"]) for row in rows}
    assert counts_by_source == {
        "atoms": (KEPT, KEPT, 0),
        "elevenlabs": (KEPT, KEPT, TURNS),
        "retell": (KEPT, KEPT, TURNS),
        "synthflow": (KEPT, KEPT, 0),
    }
    assert all(row["names_left_out"] >= 2 * (NAMES - KEPT) for row in rows)


def test_what_is_left_out_is_a_warning(built: "Warehouse") -> None:
    assert built.dbt("test", "--select", "warn_names_left_out") == {"warn_names_left_out": "warn"}


@pytest.mark.parametrize(
    ("mart", "key", "columns"),
    [
        ("call_metrics", "metric_key", "source, call_id, measure, measure_number"),
        ("call_variables", "variable_key", "source, call_id, variable"),
        ("call_turns", "turn_key", "source, call_id, turn_number"),
        ("calls", "call_key", "source, call_id"),
        ("agents", "agent_key", "source, agent_id"),
        ("call_volume", "volume_key", "quarter_start, source, agent_id, direction, issue_type"),
        ("call_metrics_daily", "day_key", "call_date, source, agent_id"),
        ("drop_off_points", "drop_off_key", "source, agent_id, issue_type, turn_number"),
    ],
)
def test_no_two_rows_share_a_key(built: "Warehouse", mart: str, key: str, columns: str) -> None:
    row = built.row(
        f"select count(*) as rows, count(distinct {key}) as keys, count(distinct ({columns})) as things "
        f"from marts.{mart} where source = 'generic'"
    )
    assert row["rows"] == row["keys"] == row["things"]
    if mart in ("call_metrics", "call_variables"):
        assert row["rows"] == len(IDS) ** 2


@pytest.fixture(scope="module")
def key_of() -> Callable[[list[list[str]]], list[str]]:
    """The macro `key_of` over lists of three parts."""
    module = (
        Environment(autoescape=False).from_string((MACROS / "keys.sql").read_text(encoding="utf-8")).module
    )
    key = module.key_of(["parts[1]", "parts[2]", "parts[3]"])  # type: ignore[attr-defined]
    query = f"select {key} from (select unnest($lists) as parts)"

    def of(lists: list[list[str]]) -> list[str]:
        return [row[0] for row in duckdb.execute(query, {"lists": lists}).fetchall()]

    return of


PART = st.text(alphabet=":|@~\\#ab", max_size=6)


@given(lists=st.lists(st.tuples(PART, PART, PART), min_size=2, max_size=200, unique=True))
def test_different_parts_have_different_keys(
    key_of: Callable[[list[list[str]]], list[str]], lists: list[tuple[str, str, str]]
) -> None:
    keys = key_of([list(parts) for parts in lists])
    assert len(set(keys)) == len(lists)


def test_an_ordinary_key_is_its_parts(key_of: Callable[[list[list[str]]], list[str]]) -> None:
    assert key_of([["atoms", "CALL-1793606400000-a1b2c3", "Widget Colour"]]) == [
        "atoms:CALL-1793606400000-a1b2c3:Widget Colour"
    ]
