"""The formula, and that no number of failures breaks it."""

from datetime import timedelta

from integrations.config import IntegrationSettings
from integrations.outbox.retry import wait


def longest(_: float, high: float) -> float:
    return high


def shortest(low: float, _: float) -> float:
    return low


SETTINGS = IntegrationSettings(retry_base_seconds=10, retry_cap_seconds=60)


def test_it_doubles_up_to_the_cap() -> None:
    waits = [wait(failures, SETTINGS, uniform=longest).total_seconds() for failures in (1, 2, 3, 4, 9, 5_000)]
    assert waits == [10, 20, 40, 60, 60, 60]


def test_chance_takes_a_share_of_it() -> None:
    assert wait(3, SETTINGS, uniform=shortest) == timedelta(0)
    assert len({wait(3, SETTINGS) for _ in range(20)}) > 1


def test_the_systems_own_wish_is_the_floor_and_has_a_limit() -> None:
    assert wait(1, SETTINGS, timedelta(minutes=5), shortest) == timedelta(minutes=5)
    assert wait(4, SETTINGS, timedelta(seconds=1), longest) == timedelta(seconds=60)
    assert wait(1, SETTINGS, timedelta(days=365), shortest) == timedelta(hours=24)
