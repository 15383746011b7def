"""Several dispatchers on one outbox in Postgres: claims, lost connections, killed processes, and nothing twice."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, Limits
from integrations.errors import Unreachable
from integrations.outbox import DueAction, Outbox, dispatch, open_outbox
from integrations.outbox import engine as engines
from integrations.outbox.leases import Claim, Leases, is_gone, lease_seconds, new_owner, take_from_the_gone
from integrations.outbox.schema import claims
from tests.integrations.examples import NOW, Register, contact, note, task, ticket
from tests.integrations.outbox.recorded import previews_of

pytestmark = pytest.mark.usefixtures("_on_postgres")
Settings = Callable[..., IntegrationSettings]


@pytest.fixture
def url(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of the cluster."""
    psycopg = pytest.importorskip("psycopg")
    name = f"l{os.getpid()}_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def _on_postgres(url: str) -> None:
    """Nothing here concerns SQLite, where a channel has a file lock."""


class Blind(Register):
    """A system that nobody can ask: each send is a line of its own. It notes who sends what at the same time."""

    can_be_asked = False

    def __init__(self, path: Path, slow: float = 0.0, concurrency: int = 1) -> None:
        super().__init__(path)
        self.slow, self.under_way, self.most = slow, Counter[str](), 0
        self.lock, self.overtaken = threading.Lock(), list[str]()
        self.limits = Limits(concurrency)

    def find(self, delivery: Delivery) -> str | None:
        return None

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        chain = str(delivery.payload.get("phone") or delivery.call_id)
        with self.lock:
            self.under_way[chain] += 1
            self.overtaken += [chain] if self.under_way[chain] > 1 else []
            self.most = max(self.most, sum(self.under_way.values()))
        time.sleep(self.slow)
        with self.lock:
            identity = super().send(delivery, external_id)
            self.under_way[chain] -= 1
        return identity


def created(desk: Register) -> list[str]:
    return [key for did, key in desk.did() if did == "create"]


def in_threads(count: int, work: Callable[[], None]) -> None:
    """Run it in several threads; the first error is raised here."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


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


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from integrations.config import IntegrationSettings
    from integrations.outbox import dispatch, open_outbox
    from tests.integrations.examples import Register
    home, url, register, die_at = sys.argv[1:]
    settings = IntegrationSettings(home=home, outbox_url=url, ignore_action_age=True)
    dispatch(open_outbox(url), "ticket", settings, destination=Register(Path(register), die_at=die_at))
"""


def test_what_a_killed_dispatcher_held_is_free_for_its_machine_at_once(
    url: str, outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(ignore_action_age=True)
    outbox.enqueue([ticket("1"), ticket("2")], NOW, settings)
    arguments = (str(settings.home), url, str(tmp_path / "r"), "after ticket:atoms:1")
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), *arguments], check=False, timeout=60
    )
    assert killed.returncode == -9
    with outbox.engine.connect() as connection:
        (claim,) = connection.execute(select(claims)).all()
    assert is_gone(claim.owner)
    assert dispatch(outbox, "ticket", settings, destination=Register(tmp_path / "r")).sent == 2
    assert sorted(created(Register(tmp_path / "r"))) == ["ticket:atoms:1", "ticket:atoms:2"]


def test_a_claim_of_another_machine_delays_an_action_until_its_lease_is_over(
    url: str, outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(ignore_action_age=True)
    outbox.enqueue([ticket("1"), ticket("2")], NOW, settings)
    elsewhere = Leases(outbox.engine, "ticket", "register", settings, lambda: NOW)
    elsewhere.owner = "another boot/4026531836/77.1234/abc"
    assert elsewhere.claim("atoms:1", most=9) is Claim.GRANTED
    desk = Blind(tmp_path / "r", concurrency=9)
    report = dispatch(outbox, "ticket", settings, destination=desk)
    assert (report.sent, report.busy, report.waiting) == (1, False, 1)
    report = dispatch(outbox, "ticket", settings, destination=desk)
    assert (report.sent, report.busy, report.waiting) == (0, True, 1)
    with outbox.engine.begin() as connection:
        connection.execute(text("UPDATE claims SET lease_until = lease_until - interval '1 day'"))
    assert dispatch(outbox, "ticket", settings, destination=desk).sent == 1
    assert elsewhere.claim("atoms:1", most=9) is Claim.GRANTED


def test_of_many_that_want_one_chain_whose_lease_is_over_one_gets_it(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    first = Leases(outbox.engine, "ticket", "north", settings, lambda: NOW)
    assert first.claim("atoms:1", most=99) is Claim.GRANTED
    with outbox.engine.begin() as connection:
        connection.execute(text("UPDATE claims SET lease_until = lease_until - interval '1 day'"))
    results: list[Claim] = []

    def wish() -> None:
        leases = Leases(outbox.engine, "ticket", "north", settings, lambda: NOW)
        results.append(leases.claim("atoms:1", most=99))

    in_threads(8, wish)
    assert Counter(results) == {Claim.GRANTED: 1, Claim.HELD: 7}


def test_a_dispatcher_that_lost_its_claim_marks_no_failure_over_what_the_other_did(
    outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(ignore_action_age=True)
    outbox.enqueue([ticket()], NOW, settings)
    taken = Register(tmp_path / "r")

    class Frozen(Register):
        """Sends so slowly that its lease ends and another dispatcher does the work."""

        def send(self, delivery: Delivery, external_id: str | None) -> str:
            with outbox.engine.begin() as connection:
                connection.execute(text("UPDATE claims SET lease_until = lease_until - interval '1 day'"))
            assert dispatch(outbox, "ticket", settings, destination=taken).sent == 1
            raise Unreachable("silent", may_be_done=True)

    dispatch(outbox, "ticket", settings, destination=Frozen(tmp_path / "frozen"))
    (action,) = outbox.actions()
    assert (action.status, action.external_id, action.failures) == ("sent", "R1", 0)
    assert created(taken) == [ticket().action_key]


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
    previews = previews_of(outbox, "ticket")
    assert (len(previews), {preview.revision for preview in previews}) == (600, {1})
    assert {action.attempts for action in outbox.actions(limit=1_000)} == {1}


def test_the_rate_holds_for_all_dispatchers_together(
    url: str, outbox: Outbox, make_settings: Settings, tmp_path: Path
) -> None:
    settings = make_settings(ignore_action_age=True)
    leases = [Leases(outbox.engine, "ticket", "north", settings, lambda: NOW) for _ in range(3)]
    turns = [one.seconds_until_turn(10.0) for _ in range(2) for one in leases]
    assert [round(turn / 10) for turn in turns] == [0, 1, 2, 3, 4, 5]


def test_a_lease_is_longer_than_the_longest_try(make_settings: Settings) -> None:
    assert lease_seconds(make_settings()) >= 600
    assert lease_seconds(make_settings(http_whole_seconds=300)) >= 3000
    assert lease_seconds(make_settings(smtp_whole_seconds=900, outbox_lease_seconds=1)) >= 1800


def test_whose_process_runs_or_cannot_be_seen_is_not_gone(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    own = new_owner()
    assert not is_gone(own)
    machine, process, chance = own.rsplit("/", 2)
    assert is_gone(f"{machine}/{process}9/{chance}")
    for other in (f"x{machine}/{process}9/{chance}", "nonsense", "", "/1.2/x"):
        assert not is_gone(other)
    leases = Leases(outbox.engine, "ticket", "north", settings, lambda: NOW)
    leases.claim("atoms:1", most=9)
    take_from_the_gone(outbox.engine)
    with outbox.engine.connect() as connection:
        assert len(connection.execute(select(claims)).all()) == 1
