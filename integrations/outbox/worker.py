"""One pass at one destination: previews in batches, probes of a pause, and the workers that send.

Each worker has an opened destination of its own. It takes a chain of actions that must not overtake each other, sends
one, and goes on when that is marked on disk: so a kill leaves at most one unmarked action per worker. How workers share
chains is `worker_pool`, what is written is `recorder`, and what one try is belongs to `attempt`.
"""

import threading
from collections import Counter, deque
from collections.abc import Sequence

from integrations.destinations import Destination, Knockable, Limits, Transactional, can_be_asked
from integrations.errors import DestinationUnavailable, RateLimited, Unreachable, describe
from integrations.outbox.attempt import NotYet, Sender
from integrations.outbox.leases import Claim
from integrations.outbox.queue import load_due
from integrations.outbox.recorder import Recorder
from integrations.outbox.worker_pool import Opener, RateLimiter, WorkerPool
from integrations.routes import routes

PREVIEWS_AT_ONCE = 200
# No chain is called so: they have a colon, or are the key of an action.
_ALL = "*"


class Worker:
    """A pass at one destination.

    Args:
        recorder: writes what it did.
        opened: this destination, opened already, instead of the one that the name leads to.
        halt: set when the pass is to end early.
    """

    def __init__(self, recorder: Recorder, opened: Destination | None, halt: threading.Event) -> None:
        self.recorder, self.halt, self.settings = recorder, halt, recorder.settings
        self.opener = Opener(recorder.channel, recorder.name, recorder.settings, opened)

    def run(self, due: Sequence[tuple[str, str]]) -> Counter[str]:
        """Try these actions, each a key and the key of its chain; nothing while the destination has stopped.

        Returns how many came to which result; `held` counts chains that other dispatchers work on.
        """
        recorder = self.recorder
        if recorder.start():
            try:
                self._work(due)
            except DestinationUnavailable as error:
                # Raised while it was opened: a setting is missing.
                recorder.stop(error)
            finally:
                recorder.leases.release()
            recorder.finish()
        return recorder.done + Counter(held=len(recorder.held))

    def _work(self, due: Sequence[tuple[str, str]]) -> None:
        self.recorder.chain_of.update(due)
        first = self.opener.open()
        if isinstance(first, Transactional):
            self._preview(first, [key for key, _ in due])
            return
        limits = routes(self.settings).limits_of(self.recorder.name, getattr(first, "limits", Limits()))
        chains: dict[str, list[str]] = {}
        for key, chain in due:
            chains.setdefault(chain, []).append(key)
        waiting = deque(chains.values())
        limiter = RateLimiter(limits.per_second, self.recorder.leases)
        shared = (self.recorder, self.opener, waiting, limiter, limits.concurrency, self.halt)
        if self.recorder.pause:
            if not self._answers(first):
                self.opener.close(first)
                return
            WorkerPool(*shared, is_probing=True).work([first])
            self.recorder.stop_after_probes()
            if self.recorder.stopped or not waiting:
                return
            first = self.opener.open()
        size = 1 if self.opener.opened else min(limits.concurrency, len(waiting))
        WorkerPool(*shared).work([first, *[None] * (size - 1)])

    def _answers(self, target: Destination) -> bool:
        """True if a probe may be sent: what nobody can ask for is sent only to a system that answers."""
        if can_be_asked(target) or not isinstance(target, Knockable):
            return True
        try:
            target.knock()
        except (Unreachable, RateLimited) as error:
            self.recorder.stop(error)
        except Exception as error:
            text = f"{self.recorder.name} does not answer: {describe(error, self.settings)}"
            self.recorder.stop(Unreachable(text))
        return self.recorder.stopped is None

    def _preview(self, target: Transactional, keys: Sequence[str]) -> None:
        """Send in batches to a destination whose whole effect is rows of the outbox."""
        recorder = self.recorder
        sender = Sender(recorder.engine, target, self.settings, recorder.clock, recorder.ids)
        for start in range(0, len(keys), PREVIEWS_AT_ONCE):
            # One dispatcher at a time: two would write the same previews.
            if recorder.leases.claim(_ALL, most=1) is not Claim.GRANTED:
                recorder.held.append(_ALL)
                return
            outcomes = []
            batch = keys[start : start + PREVIEWS_AT_ONCE]
            for action in load_due(recorder.engine, batch, recorder.clock()):
                try:
                    outcomes.append(sender.execute(action))
                except NotYet:
                    continue
            if outcomes:
                recorder.write(outcomes, target=target)
