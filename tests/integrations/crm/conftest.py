"""A Tryton for the whole session, and an outbox: which database keeps that makes no difference here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.crm.tryton_server import Office, running


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
