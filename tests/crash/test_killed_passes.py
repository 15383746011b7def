"""`aftercall run` killed at random moments: one clean run later, all is as if it had never been killed."""

import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

KILLS = 20
MARTS = ("calls", "call_outcomes", "call_metrics", "call_turns", "call_variables", "customers", "agents")


def contents(installation: Any) -> dict[str, list[tuple[object, ...]]]:
    found = {}
    for mart in MARTS:
        columns = [str(row[0]) for row in installation.mart(f"describe {mart}") if row[0] != "updated_at"]
        found[mart] = installation.mart(f"select {', '.join(columns)} from {mart} order by all")
    return found


def test_killed_twenty_times_then_run_once(
    processed: Any, installation: Any, calls_folder: Path, tmp_path: Path
) -> None:
    dice = random.Random(20)
    lines = (calls_folder / "sgd.ndjson").read_bytes().splitlines(keepends=True)
    size = -(-len(lines) // 4)
    with installation.receiver():
        for kill in range(KILLS):
            if kill % 5 == 0:  # new events between the kills, so that every step has work to be torn from
                part = tmp_path / "part.ndjson"
                part.write_bytes(b"".join(lines[kill // 5 * size : (kill // 5 + 1) * size]))
                installation.aftercall("replay", str(part), "--url", installation.url)
            process = installation.start("run")
            try:
                process.communicate(timeout=dice.uniform(1.5, 12.0))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
    time.sleep(0.1)
    installation.aftercall("run")

    assert contents(installation) == contents(processed)
    wanted = "select action_key, kind, status, payload_hash from actions order by 1"
    assert installation.outbox(wanted) == processed.outbox(wanted)
    assert installation.warehouse(
        "select count(*) - count(distinct event_key), count(*) from raw.call_events"
    ) == [(0, 2959)]
    twice = (
        "select action_key from attempts join actions using (action_key) where outcome = 'sent' "
        "and kind in ('follow_up_email', 'transfer_requested', 'unhappy_customer', 'vip_call') "
        "group by 1 having count(*) > 1"
    )
    assert installation.outbox(twice) == []
