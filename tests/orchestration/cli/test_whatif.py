"""A change of rule tried on the history of a real pass: what would differ, beside what the pass's own marts say."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from integrations.config import IntegrationSettings
from orchestration.config import DBT_PROJECT, OrchestrationSettings
from orchestration.tools.whatif.compare import Transition, compare
from orchestration.tools.whatif.scratch import CONFIGURED, PROPOSED, keep_side
from tests.conftest import Installation

CALLS = 40
SINCE = ("--since", "2026-11-02")
Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, land: Any) -> Path:
    """After one pass over simulated calls; a trial was killed in it once."""
    home = tmp_path_factory.mktemp("tried") / "home"
    land(home, calls=CALLS)
    Installation(home, 0).built().aftercall("run")
    (home / "whatif" / "scratch").mkdir(parents=True)
    (home / "whatif" / "scratch" / "warehouse.duckdb").write_bytes(b"half a file")
    return home


def command(home: Path, *arguments: str, code: int = 0) -> str:
    return Installation(home, 0).ask(*arguments, code=code)


def warehouse(path: Path, query: str, *values: object) -> list[Row]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query, list(values)).fetchall()


def state(home: Path) -> dict[str, object]:
    """Every table and view of the warehouse, the outbox, and when the published copy was made."""
    path = home / "warehouse.duckdb"
    tables = warehouse(path, "select table_schema, table_name from information_schema.tables order by all")
    found: dict[str, object] = {
        f"{schema}.{table}": warehouse(
            path, f'select count(*), bit_xor(hash(t)) from "{schema}"."{table}" as t'
        )
        for schema, table in tables
    }
    engine = sa.create_engine(f"sqlite:///{home / 'outbox.sqlite'}")
    with engine.connect() as connection:
        for table in ("actions", "attempts"):
            rows = connection.execute(sa.text(f"select * from {table} order by 1, 2")).fetchall()
            found[table] = [tuple(row) for row in rows]
    engine.dispose()
    return found | {"published": (home / "published" / "marts.duckdb").stat().st_mtime_ns}


def groups(differences: dict[str, Any]) -> dict[tuple[str, str | None, str], int]:
    return {(one["kind"], one["variety"], one["what"]): one["times"] for one in differences["actions"]}


@pytest.mark.timeout(1800)
def test_another_var_changes_the_calls_and_actions_that_it_is_about(home: Path) -> None:
    before = state(home)
    told = json.loads(
        command(home, "whatif", *SINCE, "--vars", "unhappy_max_score: 3", "--json", "--limit", "3")
    )
    assert state(home) == before
    assert not (home / "whatif" / "scratch").exists()

    path = home / "warehouse.duckdb"
    threes = warehouse(
        path,
        "select call_key, email_template, is_resolved, reported_sentiment is null, needs_follow_up or not is_resolved "
        "from intermediate.int_calls_interpreted where satisfaction_score = 3",
    )
    mailed = [row for row in threes if row[1] is not None]
    moody = [row for row in threes if row[3]]
    assert len(threes) > len(mailed) > 0
    found = told["differences"]
    assert told["calls"] == warehouse(path, "select count(*) from marts.calls")[0][0]
    assert found["calls"] == {"changed": len(threes)}
    assert {one["field"]: one["times"] for one in found["call_fields"]} == {
        "is_unhappy": len(threes),
        "email_template": len(threes),
        "sentiment": len(moody),
        "priority": len(moody),
    }
    (sentiment,) = [one for one in found["call_fields"] if one["field"] == "sentiment"]
    assert sentiment["transitions"] == [{"before": "neutral", "after": "negative", "times": len(moody)}]
    assert groups(found) == {
        ("follow_up_email", "apology_escalation", "new"): len(threes) - len(mailed),
        ("follow_up_email", "additional_resources → apology_escalation", "changed"): len(mailed),
        ("unhappy_customer", "#alerts", "new"): len(threes),
        ("ticket", None, "changed"): sum(row[2] is False for row in moody),
        ("task", None, "changed"): sum(row[4] is True for row in moody),
    }
    new = sum(times for (_, _, what), times in groups(found).items() if what == "new")
    assert sum(one["young"] for one in found["actions"]) == new
    due = warehouse(path, "select count(*) from intermediate.int_due_actions")[0][0]
    assert found["due"] == [due, due + new]
    assert len(found["call_examples"]) == 3
    assert {one["key"] for one in found["call_examples"]} <= {row[0] for row in threes}
    assert found["call_examples"][0]["fields"]["is_unhappy"] == ["false", "true"]


@pytest.mark.timeout(1800)
def test_an_edited_seed_is_tried_on_the_calls_that_began_in_the_window(home: Path, tmp_path: Path) -> None:
    project = tmp_path / "edited"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    seed = project / "seeds" / "vips.csv"
    path = home / "warehouse.duckdb"
    firsts = warehouse(
        path,
        "select source || ':' || call_id, min(received_at), max(received_at), count(*) from raw.call_events "
        "where call_id is not null group by all order by 2, 1",
    )
    chosen = firsts[12:25]
    since, until = moment(firsts[12]), moment(firsts[25])
    assert any(last >= since for _, _, last, _ in firsts[:12]), (
        "a call that began earlier goes on in the window"
    )
    assert any(last >= until for _, _, last, _ in chosen), "a call of the window goes on after it"
    customers = warehouse(
        path,
        "select customer_phone, call_key, is_ended, disposition from intermediate.int_calls_interpreted "
        "where call_key in (select unnest($1)) and customer_phone is not null and not is_vip order by call_key",
        [key for key, *_ in chosen],
    )
    phone = customers[0][0]
    theirs = [row for row in customers if row[0] == phone]
    with seed.open("a") as file:
        file.write(f"{phone},tried\n")
    with (project / "seeds" / "platform_rates.csv").open("a") as file:
        file.write("atoms,2026-01-01,0.1,USD,60\n")
    minutes: dict[str, float] = dict(
        warehouse(
            path,
            "select call_key, ceil(duration_seconds / 60) from intermediate.int_calls_measured "
            "where call_key in (select unnest($1)) and source = 'atoms' and duration_seconds is not null",
            [key for key, *_ in chosen],
        )
    )
    assert minutes
    differing = minutes.keys() | {key for _, key, *_ in theirs}

    shown = command(
        home, "whatif", "--since", since.isoformat(), "--until", until.isoformat(), "--project", str(project),
        "--keep",
    )  # fmt: skip
    assert f"13 calls with their first event from {since:%Y-%m-%d %H:%M}" in shown
    assert f": {len(differing)} would differ" in shown
    cost = sum(minutes.values()) * 0.1
    assert f"0.00 USD cost of the calls as configured, {cost:.2f} as proposed" in shown
    ended = sum(row[2] for row in theirs)
    assert f": {ended} new, 0 no longer due, 1 changed" in shown
    assert "slack vip_call: #vip" in shown
    assert "within their channel's age limit" in shown
    assert phone not in shown
    assert phone[-2:] in shown

    (kept,) = (home / "whatif").glob("2*/warehouse.duckdb")
    assert str(kept) in shown.replace("\n", "")
    events = warehouse(
        kept, "select source || ':' || call_id, count(*) from raw.call_events group by all order by 1"
    )
    assert events == sorted((key, count) for key, _, _, count in chosen)
    assert warehouse(kept, "select count(*) from proposed.calls") == [(13,)]


def test_answer_status_and_first_call_resolution_are_compared(tmp_path: Path) -> None:
    trial = OrchestrationSettings(home=tmp_path)
    for side, status, is_repeat in ((CONFIGURED, "answered", False), (PROPOSED, "abandoned", True)):
        with duckdb.connect(str(trial.warehouse)) as connection:
            connection.execute(
                "create schema if not exists raw; create schema intermediate; create table if not exists "
                "raw.call_events (source varchar, call_id varchar, received_at timestamp)"
            )
            for table, columns in (
                ("int_calls_interpreted", "false as is_unhappy"),
                (
                    "int_calls_measured",
                    f"'{status}' as answer_status, [date '2026-11-0{len(side) % 9}'] as dates",
                ),
                (
                    "int_calls_repeats_marked",
                    f"{is_repeat} as is_repeat_call, null as is_first_call_resolved",
                ),
            ):
                connection.execute(
                    f"create table intermediate.{table} as select 'atoms:1' as call_key, {columns}"
                )
        keep_side(trial, side)
    with duckdb.connect(str(trial.warehouse)) as connection:
        found = compare(connection, IntegrationSettings(home=tmp_path), datetime.now(UTC), 1)
    assert found.calls == {"changed": 1}
    assert [(one.field, one.transitions) for one in found.call_fields] == [
        ("answer_status", [Transition("answered", "abandoned", 1)]),
        ("is_repeat_call", [Transition("false", "true", 1)]),
    ]


def moment(row: Row) -> datetime:
    assert isinstance(row[1], datetime)
    return row[1]


@pytest.mark.timeout(900)
def test_a_rule_that_cannot_be_built_is_refused_in_the_words_of_dbt(home: Path) -> None:
    said = command(home, "whatif", *SINCE, "--vars", "unhappy_max_score=three", code=1)
    assert "dbt could not build it" in said
    assert 'Referenced column "three" not found' in said
    assert not (home / "whatif" / "scratch").exists()


def test_what_cannot_be_tried_is_said_before_anything_is_built(home: Path, tmp_path: Path) -> None:
    var = ("--vars", "unhappy_max_score: 3")
    for arguments, said, code in (
        ((*SINCE,), "say what would be different", 2),
        (
            (*SINCE, "--vars", "unhappy_maxscore: 3"),
            "--vars unhappy_maxscore: the project has no such var",
            2,
        ),
        ((*SINCE, "--vars", "unhappy_maxscore: 3"), "unhappy_max_score", 2),
        ((*SINCE, "--vars", "unhappy_max_score"), "names no var", 2),
        ((*SINCE, "--vars", "{unhappy_max_score: "), "is no YAML", 2),
        ((*SINCE, "--project", str(tmp_path)), "has no dbt_project.yml", 2),
        ((*SINCE, "--until", "2026-11-01", *var), "is not before", 2),
        (("--since", "2026-12-01", "--until", "2026-12-02", *var), "no call has its first event", 1),
    ):
        assert said in command(home, "whatif", *arguments, code=code)
    nowhere = tmp_path / "nowhere"
    assert "there is no warehouse" in command(nowhere, "whatif", *SINCE, *var, code=1)
    assert not nowhere.exists()
