"""`aftercall run` killed at random moments: one clean run later, all is as if it had never been killed."""

import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.traffic import Traffic

KILLS = 20
PARTS = 10
# of the time that a pass takes on this machine: from its first moments to about its end
LIVES = (0.05, 1.0)


@pytest.mark.slow
def test_killed_twenty_times_then_run_once(
    processed: Any, installation: Any, traffic: Traffic, tmp_path: Path
) -> None:
    dice = random.Random(20)
    parts = traffic.parts(tmp_path, PARTS)
    kills = 0
    started = time.monotonic()
    installation.built().aftercall("run")
    whole = time.monotonic() - started
    with installation.receiver():
        while kills < KILLS:
            if (
                parts and kills % (KILLS // PARTS) == 0
            ):  # new events, so that every step has work to be torn from
                installation.aftercall("replay", parts.pop(0), "--url", installation.url)
            process = installation.start("run")
            try:
                process.communicate(timeout=whole * dice.uniform(*LIVES))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
    assert not parts
    installation.aftercall("run")

    assert installation.marts() == processed.marts()
    # an alert tells of the runs that were killed one after the other
    wanted = (
        "select action_key, kind, status, payload_hash from actions where kind <> 'pipeline_alert' order by 1"
    )
    assert installation.outbox(wanted) == processed.outbox(wanted)
    assert installation.warehouse(
        "select count(*) - count(distinct event_key), count(*) from raw.call_events"
    ) == [(0, traffic.totals["distinct_events"])]
    twice = (
        "select action_key from attempts join actions using (action_key) where outcome = 'sent' "
        "and kind in ('follow_up_email', 'transfer_requested', 'unhappy_customer', 'vip_call') "
        "group by 1 having count(*) > 1"
    )
    assert installation.outbox(twice) == []
