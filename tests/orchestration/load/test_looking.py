"""Looking at how far a load came: what a process may do that does not hold the warehouse."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.load.tables import ensure_tables
from orchestration.warehouse import open_warehouse


@pytest.mark.parametrize("name", [pipeline.LANDING, pipeline.OUTBOX])
def test_a_first_load_goes_on_while_others_look(tmp_path: Path, name: str) -> None:
    """Until the first load ends dlt has no state; Dagster's processes start, and sensors look, meanwhile."""
    settings = OrchestrationSettings(home=tmp_path)
    with open_warehouse(settings).writing():
        ensure_tables(settings)
    at_work = settings.dlt / name / "at_work"
    at_work.mkdir(parents=True)
    pipeline.declared(settings, name)
    assert pipeline.landing_backlog(settings) == 0
    assert not pipeline.has_new_lines(settings)
    assert at_work.exists()


DECLARING = """
import sys
from pathlib import Path
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
settings = OrchestrationSettings(home=Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(300):
    pipeline.declared(settings, pipeline.OUTBOX)
"""


def test_several_processes_import_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DECLARING, str(tmp_path)]
    ran = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for each in ran:
        assert each.stdout is not None
        assert each.stdout.readline() == b"ready\n"
    for each in ran:
        assert each.stdin is not None
        each.stdin.write(b"\n")
        each.stdin.flush()
    for each in ran:
        _, trouble = each.communicate(timeout=120)
        assert each.returncode == 0, trouble.decode()
    assert not (tmp_path / "dlt").exists()
