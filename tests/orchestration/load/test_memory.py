"""Bodies that do not fit DuckDB's memory limit, 2,048 rows at a time, are loaded with more; real files."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.warehouse import with_enough_memory
from receiver.envelope import Facts, line, seal
from tests.homes import landing_of

BODIES = 60


def test_large_bodies_are_loaded_with_more_memory_than_the_limit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = landing_of(tmp_path)
    for number in range(BODIES):
        body = orjson.dumps({"call_id": str(number), "said": f"{number:07}" * 200_000})
        store.append([line(seal("generic", Facts(call_id=str(number)), body, datetime.now(UTC)), body)])
    store.close()
    settings = OrchestrationSettings(home=tmp_path, warehouse_memory_limit="60MB")
    with caplog.at_level(logging.WARNING, "aftercall.warehouse"):
        report = pipeline.load_events(settings)
    assert "needs more than 60MB" in caplog.text
    assert report.rows == {"call_events": BODIES, "rejected_lines": 0}
    assert pipeline.landing_backlog(settings) == 0


def test_what_is_no_lack_of_memory_is_not_tried_again() -> None:
    tries = []

    def work(settings: OrchestrationSettings) -> None:
        tries.append(settings.warehouse_memory_limit)
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        with_enough_memory(OrchestrationSettings(), work)
    assert len(tries) == 1
