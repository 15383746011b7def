"""Looking at how far a load came: what a process may do that does not hold the warehouse."""

from pathlib import Path

import pytest

from orchestration import warehouse
from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline


@pytest.mark.parametrize("name", [pipeline.LANDING, pipeline.OUTBOX])
def test_a_first_load_goes_on_while_others_look(tmp_path: Path, name: str) -> None:
    """Until the first load ends dlt has no state; Dagster's processes start, and sensors look, meanwhile."""
    settings = OrchestrationSettings(home=tmp_path)
    with warehouse.writing(settings):
        pipeline.ensure_tables(settings)
    at_work = settings.dlt / name / "at_work"
    at_work.mkdir(parents=True)
    pipeline.declared(settings, name)
    assert pipeline.landing_backlog(settings) == 0
    assert not pipeline.has_new_lines(settings)
    assert at_work.exists()
