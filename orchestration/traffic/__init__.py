"""Traffic for demos, tests and benches: calls of the project's own invention, and recorded ones played back.

It knows the platforms' bodies and the receiver's address, and nothing of the warehouse or the outbox. The
command line around it lives in `orchestration.cli`.
"""

from orchestration.traffic.delivery import Delivery
from orchestration.traffic.expected import Expected, expected
from orchestration.traffic.post import PostReport, post_all
from orchestration.traffic.replay import RecordingError, count_recording, replay
from orchestration.traffic.simulate import simulate

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
