"""Ticket systems that all tests of a session share."""

from collections.abc import Iterator

import pytest

from tests.integrations.ticket import redmine_server


@pytest.fixture(scope="session")
def redmine() -> Iterator[redmine_server.Server]:
    """A real Redmine; every test uses calls of its own."""
    with redmine_server.running() as server:
        yield server
