"""A channel's asset when the warehouse cannot be read."""

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from integrations.config import IntegrationSettings
from integrations.outbox import open_outbox
from integrations.outbox.alerts import alerts

HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_an_alert_goes_out_while_somebody_has_the_warehouse_open(
    installation: Any, dagster: dg.DagsterInstance
) -> None:
    from orchestration.definitions import build_defs

    settings = IntegrationSettings()
    with open_outbox(settings.outbox_url) as outbox:
        now = datetime.now(UTC)
        outbox.enqueue(alerts("key", "A run failed", settings, now), now, settings)
    command = [sys.executable, "-c", HOLD, str(installation.home / "warehouse.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        job = build_defs().resolve_job_def("chat_channel")
        result = job.execute_in_process(instance=dagster, raise_on_error=False)
        holder.terminate()
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "lock" in str(failure.step_failure_data.error)
    assert installation.outbox("select action_key, status from actions") == [("pipeline_alert:key", "sent")]
