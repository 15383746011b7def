"""How a copy is renewed: in the file before the last, with what changed; whole where that cannot be told."""

import os
from contextlib import nullcontext, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import copy_files, duckdb_file, incremental_copy, publish
from tests.conftest import Installation, free_port


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, land: Any) -> OrchestrationSettings:
    """Thirty calls after two passes. The second brought new ones and events of calls that were copied before, and told
    of the actions that were sent meanwhile.
    """
    home = tmp_path_factory.mktemp("copies") / "home"
    land(home, calls=30)
    first, *others = sorted(home.glob("landing/*/*/*.ndjson"))
    lines = first.read_bytes().splitlines(keepends=True)
    rest = b"".join(lines[1::2]) + b"".join(path.read_bytes() for path in others)
    first.write_bytes(b"".join(lines[::2]))
    for path in others:
        path.unlink()
    made = Installation(home, free_port()).built()
    made.aftercall("run")
    first.with_name("20991231T000000000000Z-0000000a.ndjson").write_bytes(rest)
    made.aftercall("run")
    return OrchestrationSettings(home=home)


def copied(settings: OrchestrationSettings) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the published copy."""
    with duckdb.connect(str(settings.published), read_only=True) as connection:
        tables = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
        return {
            name: connection.execute(f'select * from "{name}" order by all').fetchall() for name in tables
        }


def test_a_renewed_copy_is_the_whole_copy(settings: OrchestrationSettings) -> None:
    """Also for a call that is another customer's now, and for a contact that is about another call now.

    The outbox wrote the contact before the newest action that the last copy holds; it was loaded later.
    """
    assert (publish.publish(settings).renewed or 0) > 20  # in the one before, of the first pass
    assert publish.publish(settings).renewed == 0
    with duckdb_file.connect(settings, read_only=False) as connection:
        ((call,),) = connection.execute("select any_value(last_call_key) from marts.customers").fetchall()
        for table in ("int_calls_merged", "int_calls_interpreted", "int_calls_measured"):
            connection.execute(
                f"update intermediate.{table} set customer_phone = '+12025550111', "
                "built_at = built_at + interval 1 minute where call_key = $1",
                [call],
            )
        ((contact, left),) = connection.execute(
            "select action_key, call_key from marts.actions where kind = 'contact' and call_key <> $1 limit 1",
            [call],
        ).fetchall()
        connection.execute(
            "update raw.outbox_actions set call_id = other.call_id, source = other.source, "
            "updated_at = updated_at - interval 1 hour, loaded_at = loaded_at + interval 1 minute "
            "from (from intermediate.int_calls_merged where call_key not in ($1, $2) limit 1) as other "
            "where action_key = $3",
            [call, left, contact],
        )
    before = settings.published.with_name("marts.duckdb.before")
    aside = before.rename(before.with_suffix(".aside"))
    assert publish.publish(settings).renewed == 3  # in a copy of the last one
    renewed = copied(settings)
    assert len(renewed["calls"]) == 30
    assert "+12025550111" in {row[0] for row in renewed["customers"]}
    aside.unlink()
    # in the one before, which knows nothing of this
    assert publish.publish(settings).renewed == 3
    assert copied(settings) == renewed
    copy_files.forget(settings)
    assert publish.publish(settings).renewed is None
    assert copied(settings) == renewed


def test_a_mart_of_ones_own_with_a_window_function_is_right(settings: OrchestrationSettings) -> None:
    """Each row of it depends on all calls, although it has a `call_key`: it declares nothing, so it is copied whole."""
    with duckdb_file.connect(settings, read_only=False) as connection:
        connection.execute(
            "create view marts.ranks as select call_key, row_number() over (order by started_at, call_key) as place, "
            "count(*) over () as calls, lag(call_key) over (order by started_at, call_key) as before from marts.calls"
        )
    publish.publish(settings)
    publish.publish(settings)
    with duckdb_file.connect(settings, read_only=False) as connection:
        ((call,),) = connection.execute(
            "select call_key from marts.ranks order by place desc limit 1"
        ).fetchall()
        for table in ("int_calls_merged", "int_calls_interpreted"):
            connection.execute(
                f"update intermediate.{table} set started_at = started_at - interval 1 year where call_key = $1",
                [call],
            )
        connection.execute(
            "update intermediate.int_calls_measured set built_at = (select max(built_at) + interval 1 minute "
            "from intermediate.int_calls_measured) where call_key = $1",
            [call],
        )
        right = connection.execute("select * from marts.ranks order by all").fetchall()
    report = publish.publish(settings)
    assert report.renewed is not None
    assert 0 < report.renewed < 10
    assert copied(settings)["ranks"] == right
    assert right[0] != (call, len(right), len(right), right[0][3])
    with duckdb_file.connect(settings, read_only=False) as connection:
        connection.execute("drop view marts.ranks")


def test_marts_that_are_renewed_by_row_declare_it(
    settings: OrchestrationSettings, caplog: pytest.LogCaptureFixture
) -> None:
    declared = incremental_copy._declared(settings)
    assert {mart for mart, by in declared.items() if by == "call"} == {
        "actions", "call_talk_metrics", "call_metrics", "call_outcomes", "call_turns", "call_variables", "calls",
    }  # fmt: skip
    assert {mart for mart, by in declared.items() if by == "day"} == {
        "call_concurrency", "call_metrics_daily", "call_volume",
    }  # fmt: skip
    assert [mart for mart, by in declared.items() if by == "customer"] == ["customers"]
    mart = incremental_copy._Mart("own", None, (("call_date", "DATE", None),))
    assert mart.changed("day", "false") == ["call_date in (from touched_days)"]
    assert mart.changed(None, "false") == ["true"]
    for mistaken in ("call", "week"):
        assert mart.changed(mistaken, "false") == ["true"]
        assert f"own is copied whole: copied_by is '{mistaken}'" in caplog.text


@pytest.mark.parametrize("accident", ["another file", "an older project", "no note"])
def test_a_copy_that_cannot_be_told_is_made_whole(
    settings: OrchestrationSettings, monkeypatch: pytest.MonkeyPatch, accident: str
) -> None:
    publish.publish(settings)
    before = copied(settings)
    if accident == "another file":
        for path in [*settings.published.parent.glob("marts.duckdb*")]:
            # the file stays elsewhere: a file system would give its number to the next one
            path.rename(settings.home / f"former-{path.name}")
            path.write_bytes((settings.home / f"former-{path.name}").read_bytes())
    elif accident == "no note":
        copy_files.forget(settings)
    else:
        monkeypatch.setattr("orchestration.warehouse.dbt.project_version", lambda: "another")
    assert publish.publish(settings).renewed is None
    assert copied(settings) == before


@pytest.fixture
def twice_published(settings: OrchestrationSettings) -> OrchestrationSettings:
    """A copy that readers open, and the one before it."""
    copy_files.forget(settings)
    for _ in range(2):
        publish.publish(settings)
    return settings


def test_the_copy_before_is_brought_up_to_date(twice_published: OrchestrationSettings) -> None:
    file = twice_published.published
    held, older = copied(twice_published), file.with_name(f"{file.name}.before").stat().st_ino
    assert publish.publish(twice_published).renewed is not None
    assert file.stat().st_ino == older
    assert copied(twice_published) == held
    assert not list(file.parent.glob("*.new*"))


@pytest.mark.parametrize("holder", ["a reader of before", "a backup's link"])
def test_what_somebody_holds_is_left_alone(
    twice_published: OrchestrationSettings, tmp_path: Path, holder: str
) -> None:
    before = twice_published.published.with_name("marts.duckdb.before")
    whole, number, link = before.read_bytes(), before.stat().st_ino, before.with_name("backup")
    with before.open("rb") if holder == "a reader of before" else nullcontext(before) as held:
        if held is before:
            os.link(before, link)
        assert publish.publish(twice_published).renewed is not None
        assert twice_published.published.stat().st_ino != number
        read = held.read() if isinstance(held, BufferedReader) else link.read_bytes()
        assert read == whole
    link.unlink(missing_ok=True)


@pytest.mark.parametrize("step", range(1, 7))
def test_killed_at_any_step_the_next_copy_is_right(
    twice_published: OrchestrationSettings, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The steps that touch files, in their order; the last number is past the last of them."""
    held, left = copied(twice_published), iter(range(step - 1))

    def or_killed(work: Any) -> Any:
        def guarded(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                raise ZeroDivisionError
            return work(*arguments, **options)

        return guarded

    with monkeypatch.context() as killed, suppress(ZeroDivisionError):
        for name in ("replace", "write_bytes"):
            killed.setattr(Path, name, or_killed(getattr(Path, name)))
        killed.setattr(os, "link", or_killed(os.link))
        publish.publish(twice_published)
        assert step == 6
    assert copied(twice_published) == held
    publish.publish(twice_published)
    assert copied(twice_published) == held
