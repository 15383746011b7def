"""Dagster's instance of this home: its `dagster.yaml`, and `DAGSTER_HOME`, which points at it."""

import os
from pathlib import Path

from orchestration.config import OrchestrationSettings

_YAML = """\
# Written by aftercall when it is missing; yours to change.
telemetry:
  enabled: false
# no newsletter dialog before the first look
nux:
  enabled: false
event_log_storage:
  # one file that holds each event once; Dagster's own default is two files per run
  module: orchestration.runtime.event_log
  class: EventLog
  config:
    base_dir:
      env: DAGSTER_HOME
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config:
    # a run starts within a second of being asked for
    dequeue_interval_seconds: 1
run_launcher:
  # runs are forks of a process that has imported everything; WatchingRunLauncher goes without, and without its memory
  module: orchestration.runtime.launcher
  class: ForkingRunLauncher
concurrency:
  runs:
    max_concurrent_runs: 4
  pools:
    # of several runs, one step at a time writes the warehouse, and one works on a channel
    granularity: op
    default_limit: 1
run_monitoring:
  enabled: true
  # a run whose process was killed fails, and gives its pools back
  poll_interval_seconds: 10
  free_slots_after_run_end_seconds: 10
run_retries:
  enabled: true
  # what a person starts by hand is not repeated; the jobs' own tags ask for more
  max_retries: 0
# housekeeping removes runs, and ticks sooner than this: AFTERCALL_RUN_RETENTION_COUNT, AFTERCALL_TICK_RETENTION_HOURS
retention:
  sensor:
    purge_after_days:
      skipped: 1
      failure: 30
      success: 30
  schedule:
    purge_after_days:
      skipped: 1
      failure: 30
      success: 30
python_logs:
  # of what the terminal and logs/ show; the UI has every event of a run
  python_log_level: INFO
sensors:
  use_threads: true
  num_workers: 4
schedules:
  use_threads: true
  num_workers: 2
"""


def prepare(settings: OrchestrationSettings) -> Path:
    """The path of `dagster.yaml`, written if missing; sets `DAGSTER_HOME` for this process."""
    settings.dagster.mkdir(parents=True, exist_ok=True)
    config = settings.dagster / "dagster.yaml"
    if not config.exists():
        config.write_text(_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(settings.dagster)
    os.environ["AFTERCALL_HOME"] = str(settings.home)
    return config


def remember(settings: OrchestrationSettings, env_file: Path) -> bool:
    """True if `DAGSTER_HOME` was written to `.env`, which `dagster dev` reads; an existing entry stays."""
    text = env_file.read_text(encoding="utf-8") if env_file.exists() else ""
    if any(line.strip().startswith("DAGSTER_HOME=") for line in text.splitlines()):
        return False
    separator = "" if not text or text.endswith("\n") else "\n"
    env_file.write_text(f"{text}{separator}DAGSTER_HOME={settings.dagster}\n", encoding="utf-8")
    return True
