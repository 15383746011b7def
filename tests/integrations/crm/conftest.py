"""A server per module, a Salesforce behind it, a Tryton for the whole session, and an outbox in SQLite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.crm.salesforce import SalesforceCrm
from tests.integrations import servers
from tests.integrations.crm.salesforce_fake import FakeSalesforce, ours
from tests.integrations.crm.suite import opening
from tests.integrations.crm.tryton_server import Office, running
from tests.integrations.servers import System


@pytest.fixture(scope="session")
def office(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Tryton with its modules party and project."""
    pytest.importorskip(
        "trytond", reason="needs trytond, trytond-party, trytond-project and proteus (make setup)"
    )
    # Without pytest's cache it is prepared anew.
    cache = getattr(request.config, "cache", None)
    with running(cache.mkdir("tryton") if cache else tmp_path_factory.mktemp("tryton")) as started:
        yield started


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'outbox.sqlite'}"


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with servers.running() as started:
        yield started


@pytest.fixture
def org(system: System) -> FakeSalesforce:
    system.requests.clear()
    system.always = fake = FakeSalesforce()
    return fake


@pytest.fixture
def salesforce(system: System, org: FakeSalesforce, tmp_path: Path) -> Iterator[Callable[..., SalesforceCrm]]:
    def settings(**changes: object) -> IntegrationSettings:
        return IntegrationSettings(home=tmp_path, **(ours(system.url) | changes))

    with opening(SalesforceCrm, settings) as make:
        yield make
