"""How fast a platform is asked: by a clock that only the pauses move on."""

from pathlib import Path

import pytest

from orchestration.recovery import PLATFORMS, api_client
from tests.orchestration.recovery.apis import ListApi, broken
from tests.orchestration.recovery.conftest import asking as settings_for


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_so_many_requests_a_second_are_let_through_and_a_retry_is_one(
    api: ListApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, moments = Clock(), list[float]()
    monkeypatch.setattr(api_client, "time", clock)
    api.on_request = lambda _: moments.append(clock.now - 1_000)
    api.faults = [None, broken]
    recovery = settings_for(api, tmp_path, recovery_requests_per_second=4)
    answers = api_client.details(PLATFORMS[api.name], recovery, ["a", "b", "c"])
    assert list(answers) == []  # it knows none of them
    assert moments == [0.0, 0.25, 0.5, 0.75]
