"""Traffic for demos, tests and benches: simulated calls, and replayed recordings.

Knows the bodies of platforms and the receiver's address, but neither the warehouse nor the outbox. The commands belong
to `orchestration.cli`.
"""

from orchestration.simulator.delivery import Delivery
from orchestration.simulator.oracle import Expected, expected
from orchestration.simulator.replay import RecordingError, count_recording, replay
from orchestration.simulator.sender import PostReport, post_all
from orchestration.simulator.simulate import simulate

__all__ = [
    "Delivery",
    "Expected",
    "PostReport",
    "RecordingError",
    "count_recording",
    "expected",
    "post_all",
    "replay",
    "simulate",
]
