"""Claims on an outbox in Postgres: who holds a chain, for how long, and what a killed process held."""

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import Unreachable
from integrations.outbox import Outbox, dispatch
from integrations.outbox.leases import Claim, Leases, is_gone, lease_seconds, new_owner, take_from_the_gone
from integrations.outbox.schema import claims
from tests.integrations.examples import NOW, Register, ticket
from tests.integrations.outbox.dispatchers import Blind, created, empty_database, in_threads

pytestmark = pytest.mark.usefixtures("_on_postgres")
Settings = Callable[..., IntegrationSettings]
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


@pytest.fixture
def url(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    with empty_database(postgres, request.node.nodeid) as address:
        yield address


@pytest.fixture
def _on_postgres(url: str) -> None:
    """Nothing here concerns SQLite, where a channel has a file lock."""


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
