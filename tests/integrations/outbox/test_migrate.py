"""Up, down, an older outbox, and what the code believes the tables to be."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from integrations.config import IntegrationSettings
from integrations.outbox import Outbox, OutboxTooNew, OutboxTooOld, SkipReason, migrate, open_outbox
from integrations.outbox.engine import reading, writing
from integrations.outbox.migrate import HEAD, SCRIPTS, move_to, revision
from integrations.outbox.schema import metadata
from tests.integrations.examples import NOW, email

STEP = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002_more", "0001_outbox"
def upgrade():
    op.add_column("actions", sa.Column("more", sa.Integer()))
"""


def test_the_head_that_the_code_knows_is_the_newest_step() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == HEAD


def test_the_migrated_tables_are_the_tables_of_the_schema(outbox: Outbox) -> None:
    with reading(outbox.engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [one for one in compare_metadata(context, metadata) if "comment" not in str(one)]
    assert differences == []


def test_down_and_up_again(outbox: Outbox) -> None:
    move_to(outbox.engine, "base")
    assert inspect(outbox.engine).get_table_names() == ["alembic_version"]
    assert revision(outbox.engine) is None
    migrate.migrate(outbox.engine)
    assert revision(outbox.engine) == HEAD
    assert (outbox.counts(), outbox.version()) == ([], 0)


def test_an_older_outbox_takes_the_steps_that_it_lacks(
    outbox: Outbox, settings: IntegrationSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outbox.enqueue([email()], NOW, settings)
    scripts = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / "0002_more.py").write_text(STEP)
    monkeypatch.setattr(migrate, "SCRIPTS", scripts)
    monkeypatch.setattr(migrate, "HEAD", "0002_more")
    migrate.migrate(outbox.engine)
    assert revision(outbox.engine) == "0002_more"
    assert "more" in {column["name"] for column in inspect(outbox.engine).get_columns("actions")}
    assert len(outbox.actions()) == 1


def test_an_outbox_of_a_newer_version_is_refused(outbox: Outbox, url: str) -> None:
    with writing(outbox.engine) as write:
        write.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(OutboxTooNew, match="9999"):
        open_outbox(url)


@pytest.mark.parametrize("bad", ["nonsense", "sqlite://", "mysql://u:secret@h/d"])
def test_a_url_that_is_no_outbox(bad: str) -> None:
    with pytest.raises(ValueError, match="AFTERCALL_OUTBOX_URL") as error:
        open_outbox(bad)
    assert "secret" not in str(error.value)


def test_opening_again_does_without_alembic(outbox: Outbox, url: str) -> None:
    code = "import sys; from integrations.outbox import open_outbox as o; o(sys.argv[1]); print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", code, url], text=True).split()
    assert "sqlalchemy" in modules
    assert "alembic" not in modules


@pytest.mark.parametrize("unreleased", ["0001", "0005"])
def test_an_outbox_from_before_the_first_release_is_refused_with_a_way_out(
    outbox: Outbox, url: str, unreleased: str
) -> None:
    with writing(outbox.engine) as write:
        write.connection.execute(text("UPDATE alembic_version SET version_num = :old"), {"old": unreleased})
    with pytest.raises(OutboxTooOld, match=rf"outbox .*\(revision {unreleased}\).*move the outbox away"):
        open_outbox(url)


@pytest.mark.parametrize("change", ["skip_reason = NULL", "status = 'pending'", "skip_reason = 'no reason'"])
def test_a_skip_has_a_reason_that_is_known_and_nothing_else_has_one(
    outbox: Outbox, settings: IntegrationSettings, change: str
) -> None:
    outbox.enqueue([email(skip_reason=SkipReason.NO_ADDRESS)], NOW, settings)
    with pytest.raises(IntegrityError), writing(outbox.engine) as write:
        write.connection.execute(text(f"UPDATE actions SET {change}"))
