"""A thousand due actions for a system that takes 100 ms for each, against what its concurrency allows."""

import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from integrations.config import IntegrationSettings
from integrations.outbox import DueAction, dispatch, open_outbox
from tests.bench.record import Result, against

ACTIONS = 1_000
TAKES_SECONDS = 0.1
CONCURRENCY = 10
RUNS = 3

_SYSTEM = """
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(float(sys.argv[1]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def run() -> list[Result]:
    """Three passes, each with an outbox of its own; the median counts."""
    command = [sys.executable, "-c", _SYSTEM, str(TAKES_SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as system:
        assert system.stdout is not None
        port = int(system.stdout.readline())
        try:
            seconds = sorted(_measured(port) for _ in range(RUNS))[RUNS // 2]
        finally:
            system.terminate()
    ideal = ACTIONS * TAKES_SECONDS / CONCURRENCY
    note = f"signed webhook, {CONCURRENCY} at a time, each marked on disk; baseline: answers alone; aim at most 1.2"
    return [against(f"{ACTIONS:,} due actions at 100 ms each", seconds, "s", ideal, note)]


def _measured(port: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "destinations.toml").write_text(f"[limits.webhook]\nconcurrency = {CONCURRENCY}\n")
        settings = IntegrationSettings(
            home=home,
            outbox_url=f"sqlite:///{home}/outbox.sqlite",
            tickets="webhook",
            webhook_url=f"http://127.0.0.1:{port}/",
            webhook_secret="whsec_" + "eHh4" * 8,
        )
        now = datetime.now(UTC)
        with open_outbox(settings.outbox_url) as outbox:
            outbox.enqueue([_ticket(number, now) for number in range(ACTIONS)], now, settings)
            started = time.perf_counter()
            report = dispatch(outbox, "ticket", settings)
            seconds = time.perf_counter() - started
    assert report.sent == ACTIONS, report
    return seconds


def _ticket(number: int, now: datetime) -> DueAction:
    told = {
        "title": f"Rental car: {number}", "description": "It did not start. " * 60, "priority": "normal",
        "queue": "cars", "issue_type": "rental_car", "customer_name": "Ada", "customer_phone": "+12025550143",
        "customer_email": None, "is_resolved": False,
    }  # fmt: skip
    return DueAction(f"ticket:bench:{number}", "ticket", "ticket", "bench", str(number), told, now)
