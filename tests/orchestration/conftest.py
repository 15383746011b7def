"""What several tests here use: a landing store of simulated calls, as the receiver writes it; Dagster's instance."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.runtime import instance as dagster_instance
from orchestration.simulator.delivery import Delivery
from orchestration.simulator.simulate import simulate
from receiver.envelope import line, seal
from receiver.sources import SOURCES

START = datetime(2026, 11, 2, 7, 59, tzinfo=UTC)
Land = Callable[..., list[Delivery]]


@pytest.fixture(scope="session")
def land() -> Land:
    """`land(home, calls, start, seed)`: their deliveries, in one closed segment an hour."""

    def write(home: Path, calls: int = 6, start: datetime = START, seed: int = 3) -> list[Delivery]:
        deliveries = list(simulate(calls, seed, start, rate=0.1))
        hours: dict[str, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            hours[f"{delivery.at:%Y-%m-%d/%H}"].append(delivery)
        for hour, inside in hours.items():
            file = home / "landing" / hour / f"{inside[0].at:%Y%m%dT%H%M%S%f}Z-0000000a.ndjson"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"".join(landing_line(delivery) for delivery in inside))
            written = inside[-1].at.timestamp()
            os.utime(file, (written, written))
        return deliveries

    return write


def landing_line(delivery: Delivery) -> bytes:
    facts = SOURCES[delivery.source].facts(orjson.loads(delivery.body), {})
    return line(seal(delivery.source, facts, delivery.body, delivery.at), delivery.body)


@pytest.fixture
def dagster(installation: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance of the installation, whose settings are this process's for the time of a test."""
    monkeypatch.setenv("AFTERCALL_HOME", str(installation.home))
    monkeypatch.setenv("DAGSTER_HOME", "")
    dagster_instance.prepare(OrchestrationSettings())
    with dg.DagsterInstance.get() as made:
        yield made
