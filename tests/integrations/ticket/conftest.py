"""Ticket systems that all tests of a session share."""

from collections.abc import Iterator

import pytest

from tests.integrations import servers
from tests.integrations.servers import System
from tests.integrations.ticket import redmine_server


@pytest.fixture(scope="session")
def redmine() -> Iterator[redmine_server.Server]:
    """A real Redmine; every test uses calls of its own."""
    with redmine_server.running() as server:
        yield server


@pytest.fixture
def system() -> Iterator[System]:
    """A server on loopback for a fake."""
    with servers.running() as started:
        yield started
