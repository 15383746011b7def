"""A load killed while it writes: what dlt had copied and not yet ticked off is not inserted twice."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from receiver.envelope import Facts, line, seal
from tests.homes import landing_of

KILLED = """
import os, signal, sys
from pathlib import Path
from dlt.common.storages.load_package import PackageStorage
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline

step, suffix = sys.argv[2:]
method = getattr(PackageStorage, step)

def killed(self, load_id, file_name, *rest, **more):
    if file_name.startswith("call_events") and file_name.endswith(suffix):
        os.kill(os.getpid(), signal.SIGKILL)
    return method(self, load_id, file_name, *rest, **more)

setattr(PackageStorage, step, killed)
pipeline.load_events(OrchestrationSettings(home=Path(sys.argv[1])))
"""


def land(home: Path, *numbers: int) -> None:
    store = landing_of(home)
    for number in numbers:
        body = b'{"call_id": "%d"}' % number
        moment = datetime(2026, 11, 2, 8, tzinfo=UTC)
        store.append([line(seal("generic", Facts(call_id=f"{number}"), body, moment), body)])
    store.close()


def calls(home: Path) -> list[int]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute("select call_id::int from raw.call_events order by 1").fetchall()
    return [call for (call,) in rows]


@pytest.mark.parametrize("suffix", ["parquet", "sql"])
@pytest.mark.parametrize("step", ["start_job", "save_pending_transition", "complete_job"])
def test_a_load_killed_between_two_steps_of_dlt_is_done_again_once(
    tmp_path: Path, step: str, suffix: str
) -> None:
    settings = OrchestrationSettings(home=tmp_path)
    for first in (0, 10):  # the first load of a warehouse, and one behind it
        land(tmp_path, *range(first, first + 10))
        process = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), step, suffix], env=os.environ, check=False
        )
        assert process.returncode == -signal.SIGKILL
        assert pipeline.has_new_lines(settings)
        pipeline.load_events(settings)
        assert calls(tmp_path) == list(range(first + 10))
        assert pipeline.landing_backlog(settings) == 0
