"""The platforms' list APIs on real sockets, with calls of their own, and the settings that point at them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.recovery.config import RecoverySettings
from receiver.landing import open_landing
from tests.orchestration.recovery.apis import ListApi

KEY = "key-of-the-platform"


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[ListApi]:
    """The list API of one platform, named by the test's parameter."""
    with ListApi(getattr(request, "param", "atoms"), KEY) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> OrchestrationSettings:
    return OrchestrationSettings(home=tmp_path / "home", lock_timeout_seconds=30)


@pytest.fixture
def recovery(tmp_path: Path, api: ListApi) -> RecoverySettings:
    """Many requests a second and little patience, so that a test need not wait."""
    return asking(api, tmp_path / "home")


def asking(api: ListApi, home: Path, **more: Any) -> RecoverySettings:
    options = {"recovery_requests_per_second": 500, "recovery_attempts": 3, **more}
    return RecoverySettings(home=home, api_keys={api.name: KEY}, api_urls={api.name: api.url}, **options)


Landed = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def landed(settings: OrchestrationSettings) -> Landed:
    """Every landing line of the home, parsed."""

    def read() -> list[dict[str, Any]]:
        store = open_landing(settings.landing)
        return [
            orjson.loads(line)
            for segment in store.segments()
            for line in store.read(segment.path).data.splitlines()
        ]

    return read


NOW = datetime.now(UTC)
