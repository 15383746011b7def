"""Traffic for demos, tests and benches: calls of the project's own invention, and recorded ones played back.

It knows the platforms' bodies and the receiver's address, and nothing of the warehouse or the outbox. The
command line around it lives in `orchestration.cli`.
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
