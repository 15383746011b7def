"""Up, down, and what the code believes the tables to be."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from integrations.config import IntegrationSettings
from integrations.outbox import Outbox, OutboxTooNew, dispatch, migrate, open_outbox
from integrations.outbox.engine import reading, writing
from integrations.outbox.migrate import HEAD, SCRIPTS, move_to, revision
from integrations.outbox.schema import metadata
from tests.integrations.examples import NOW, ticket


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
    assert outbox.counts() == []


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


def test_an_outbox_of_one_destination_a_channel_keeps_everything(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    outbox.fill([ticket()], NOW, settings)
    dispatch(outbox, "ticket", settings, now=NOW)
    move_to(outbox.engine, "0002")
    migrate.migrate(outbox.engine)
    action = outbox.action(ticket().action_key)
    assert action is not None
    assert (action.due_key, action.status, action.facts) == (ticket().action_key, "sent", {})
    assert len(outbox.attempts(ticket().action_key)) == 1
    assert outbox.fill([ticket()], NOW, settings).unchanged == 1
