"""Several dispatchers on one outbox in Postgres: each action once and in order, though connections are lost."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import Unreachable
from integrations.outbox import DueAction, Outbox, dispatch, open_outbox
from integrations.outbox import engine as engines
from integrations.outbox.leases import Leases
from integrations.outbox.schema import claims
from tests.integrations.examples import NOW, Register, contact, note, task, ticket
from tests.integrations.outbox.dispatchers import Blind, created, empty_database, in_threads

pytestmark = pytest.mark.usefixtures("_on_postgres")
Settings = Callable[..., IntegrationSettings]


@pytest.fixture
def url(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    with empty_database(postgres, request.node.nodeid) as address:
        yield address


@pytest.fixture
def _on_postgres(url: str) -> None:
    """Nothing here concerns SQLite, where a channel has a file lock."""


def until_nothing_waits(url: str, channel: str, settings: IntegrationSettings, desk: Register) -> None:
    with open_outbox(url) as outbox:
        deadline = time.monotonic() + 60
        while dispatch(outbox, channel, settings, destination=desk).waiting:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def of_calls(count: int) -> list[DueAction]:
    due: list[DueAction] = []
    for number in range(count):
        phone = f"+1202555{number:04}"
        due += [task(f"{number}", phone), note(f"{number}", phone), contact(phone)]
    return due


@pytest.mark.parametrize("concurrency", [1, 4])
def test_several_dispatchers_do_each_action_once_and_in_order(
    url: str, outbox: Outbox, make_settings: Settings, tmp_path: Path, concurrency: int
) -> None:
    settings = make_settings(ignore_action_age=True)
    outbox.enqueue(of_calls(15), NOW, settings)
    desk = Blind(tmp_path / "r", slow=0.01, concurrency=concurrency)
    in_threads(4, lambda: until_nothing_waits(url, "crm", settings, desk))
    keys = created(desk)
    assert len(keys) == len(set(keys)) == 45
    for number in range(15):
        order = [keys.index(f"{kind}:atoms:{number}") for kind in ("note", "task")]
        assert keys.index(f"contact:+1202555{number:04}") < order[0] < order[1]
    # What a system takes at once it takes from all of them together.
    assert desk.most <= concurrency
    assert desk.overtaken == []
    assert {action.begun for action in outbox.actions(limit=100)} == {0}
    with outbox.engine.connect() as connection:
        assert connection.execute(select(claims)).all() == []


class Cutting(Blind):
    """While it sends every third thing, the server ends every connection to the database, busy or not."""

    def __init__(self, path: Path, url: str, **more: Any) -> None:
        super().__init__(path, **more)
        self.url, self.sends, self.ended = url, 0, 0

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        import psycopg

        identity = super().send(delivery, external_id)
        with self.lock:
            self.sends += 1
            if self.sends % 3 == 0:
                with psycopg.connect(self.url, autocommit=True) as connection:
                    query = (
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                    row = connection.execute(query).fetchone()
                    self.ended += row[0] if row else 0
        return identity


@pytest.mark.parametrize("dispatchers", [1, 3])
def test_connections_that_are_lost_in_mid_pass_send_nothing_twice(
    url: str, outbox: Outbox, make_settings: Settings, tmp_path: Path, dispatchers: int
) -> None:
    settings = make_settings(ignore_action_age=True)
    outbox.enqueue([ticket(str(number)) for number in range(40)], NOW, settings)
    outbox.engine.dispose()
    desk = Cutting(tmp_path / "r", url, concurrency=2)

    def work() -> None:
        for _ in range(200):
            try:
                with open_outbox(url) as opened:
                    if not dispatch(opened, "ticket", settings, destination=desk).waiting:
                        return
            except OperationalError:
                # A pass may end with its connection; what it sent is marked all the same.
                pass
            time.sleep(0.05)

    in_threads(dispatchers, work)
    assert desk.ended > 5
    assert len(created(desk)) == len(set(created(desk))) == 40
    assert {action.status for action in outbox.actions(limit=100)} == {"sent"}


def test_through_a_pooler_that_gives_each_transaction_another_session(
    url: str, outbox: Outbox, make_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PgBouncer does between transactions: no lock, setting or prepared statement outlives one."""
    settings = make_settings(ignore_action_age=True)
    make = engines.make_engine

    def pooled(address: str) -> Engine:
        return create_engine(make(address).url, poolclass=NullPool, connect_args={"prepare_threshold": None})

    monkeypatch.setattr("integrations.outbox.outbox.make_engine", pooled)
    locks: list[Any] = []

    class Watching(Blind):
        def send(self, delivery: Delivery, external_id: str | None) -> str:
            with outbox.engine.connect() as connection:
                locks.extend(connection.execute(text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")))
                locks.extend(connection.execute(text("SELECT 1 FROM pg_prepared_statements")))
            return super().send(delivery, external_id)

    desk = Watching(tmp_path / "r")
    with open_outbox(url) as through:
        through.enqueue([ticket(str(number)) for number in range(8)], NOW, settings)
        assert dispatch(through, "ticket", settings, destination=desk).sent == 8
    assert locks == []


def test_one_dispatcher_probes_a_pause_that_is_over_and_the_others_see_it(
    outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(stop_after_unreachable=1, ignore_action_age=True)
    outbox.enqueue([ticket(str(number)) for number in range(6)], NOW, settings)

    class Away(Register):
        knocks = 0

        def send(self, delivery: Delivery, external_id: str | None) -> str:
            Away.knocks += 1
            time.sleep(0.2)
            raise Unreachable("503")

    desk = Away(tmp_path / "r")
    until = dispatch(outbox, "ticket", settings, now=NOW, destination=desk).paused_until
    assert (until, Away.knocks) == (NOW + timedelta(minutes=1), 1)
    assert until is not None

    def probe() -> None:
        dispatch(outbox, "ticket", settings, now=until, destination=desk)

    in_threads(4, probe)
    (pause,) = outbox.pauses()
    assert (Away.knocks, pause.times, pause.until) == (2, 2, until + timedelta(minutes=2))


def test_several_dispatchers_write_each_preview_once(
    url: str, outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(ignore_action_age=True)
    outbox.enqueue([ticket(str(number)) for number in range(600)], NOW, settings)

    def work() -> None:
        with open_outbox(url) as opened:
            while dispatch(opened, "ticket", settings).waiting:
                time.sleep(0.05)

    in_threads(3, work)
    previews = outbox.previews(channel="ticket", limit=1_000)
    assert (len(previews), {preview.revision for preview in previews}) == (600, {1})
    assert {action.attempts for action in outbox.actions(limit=1_000)} == {1}


def test_the_rate_holds_for_all_dispatchers_together(
    url: str, outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(ignore_action_age=True)
    leases = [Leases(outbox.engine, "ticket", "north", settings, lambda: NOW) for _ in range(3)]
    turns = [one.seconds_until_turn(10.0) for _ in range(2) for one in leases]
    assert [round(turn / 10) for turn in turns] == [0, 1, 2, 3, 4, 5]
