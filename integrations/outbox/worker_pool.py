"""Workers on the chains of one destination: each sends one action at a time, and one thread writes for all of them.

A worker goes on when its action is marked on disk; where the destination cannot be asked, it sends when the "begun" is.
The writing thread takes all that has come in meanwhile into one transaction. What it writes is `recorder`.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from integrations.config import IntegrationSettings
from integrations.destinations import Destination, open_destination
from integrations.errors import DestinationUnavailable
from integrations.outbox.attempt import NotBegun, NotYet, Sender
from integrations.outbox.engine import insistently
from integrations.outbox.leases import Claim, Leases
from integrations.outbox.models import Action
from integrations.outbox.queue import load_due
from integrations.outbox.recorder import Recorder
from integrations.outbox.results import Outcome


class RateLimiter:
    """At most so many begun a second, evenly spaced; shared by the workers, on Postgres by all dispatchers."""

    def __init__(self, per_second: float | None, leases: Leases | None = None) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._leases = leases if leases and leases.is_shared else None

    def wait(self, is_over: threading.Event) -> None:
        """Until it is one's turn, or all is over."""
        if not self._gap:
            return
        if self._leases:
            is_over.wait(max(0.0, self._leases.seconds_until_turn(self._gap)))
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        is_over.wait(turn - now)


class Opener:
    """Opens and closes one destination; several may be open at once, each for one thread.

    Args:
        channel: its channel.
        name: its name.
        settings: of the installation.
        opened: this one, opened already, instead of what the name leads to.
    """

    def __init__(
        self, channel: str, name: str, settings: IntegrationSettings, opened: Destination | None = None
    ) -> None:
        self.channel, self.name, self.settings, self.opened = channel, name, settings, opened

    def open(self) -> Destination:
        """One more of the destination. Raises DestinationUnavailable if a setting of it is missing."""
        return self.opened or open_destination(self.channel, self.settings, self.name)

    def close(self, target: Destination) -> None:
        """Close what `open` opened."""
        if target is not self.opened:
            getattr(target, "close", lambda: None)()


@dataclass
class _Tried:
    outcome: Outcome
    is_last: bool
    is_written: threading.Event = field(default_factory=threading.Event)
    is_let_go: bool = False


@dataclass
class _Begun:
    action: Action
    is_written: threading.Event = field(default_factory=threading.Event)
    is_granted: bool = False


_Message = _Tried | _Begun | BaseException | None
"""What a worker says to the writing thread; None: it has ended."""


class WorkerPool:
    """Workers on the same chains. While probing there is one, and it ends with the pause.

    Args:
        recorder: writes what they did.
        opener: opens the destination.
        chains: keys of actions in order, chain by chain; the workers take them away.
        limiter: how often an action may begin.
        most: most chains under way at the destination, over all dispatchers.
        halt: set when the pass is to end early.
        is_probing: to find out whether a pause may end.
    """

    def __init__(
        self,
        recorder: Recorder,
        opener: Opener,
        chains: deque[list[str]],
        limiter: RateLimiter,
        most: int,
        halt: threading.Event,
        *,
        is_probing: bool = False,
    ) -> None:
        self.recorder, self.opener, self.chains, self.limiter = recorder, opener, chains, limiter
        self.most, self.halt, self.is_probing = most, halt, is_probing
        self.messages: SimpleQueue[_Message] = SimpleQueue()
        self.is_over = threading.Event()
        self.at_work = 0

    def work(self, targets: Sequence[Destination | None]) -> None:
        """Until nothing is left or the destination stops: one worker per target; without one it opens its own."""
        for target in targets:
            self.at_work += 1
            threading.Thread(target=self._worker, args=(target,), daemon=True).start()
        error: BaseException | None = None
        while self.at_work:
            try:
                self._write()
            except BaseException as raised:
                # The outbox cannot be written: nothing more is begun, and what is under way is waited for.
                self.is_over.set()
                error = error or raised
        if error:
            raise error

    def _write(self) -> None:
        while self.at_work:
            messages = [self.messages.get()]
            while True:
                try:
                    messages.append(self.messages.get_nowait())
                except Empty:
                    break
            self._record(messages)

    def _record(self, messages: Sequence[_Message]) -> None:
        self.at_work -= sum(one is None for one in messages)
        tried = [one for one in messages if isinstance(one, _Tried)]
        begun = [one for one in messages if isinstance(one, _Begun)]
        try:
            wanted = [one.action for one in begun] if not self._is_over() else []
            last = [one for one in tried if one.is_last]
            ended = {self.recorder.chain_of[one.outcome.action.action_key] for one in last}
            if tried or wanted:
                granted = self.recorder.write([one.outcome for one in tried], wanted, ended)
                for one in begun:
                    one.is_granted = one.action.action_key in granted
                for done in last:
                    done.is_let_go = True
        except BaseException:
            # Before the workers go on: what they sent now could not be marked either.
            self.is_over.set()
            raise
        finally:
            if self.recorder.stopped or (self.is_probing and self.recorder.pause is None):
                self.is_over.set()
            for is_written in [one.is_written for one in tried] + [one.is_written for one in begun]:
                is_written.set()
        for error in messages:
            if isinstance(error, DestinationUnavailable):
                # Raised while one more was opened.
                self.recorder.stop(error)
                self.is_over.set()
            elif isinstance(error, BaseException):
                raise error

    def _worker(self, target: Destination | None) -> None:
        try:
            target = target or self.opener.open()
            sender = self._sender(target)
            while not self._is_over() and (keys := self._next()):
                chain = self.recorder.chain_of[keys[0]]
                claim = self.recorder.leases.claim(chain, self.most, is_probing=self.is_probing)
                if claim is not Claim.GRANTED:
                    self.recorder.held.append(chain)
                    if claim is Claim.HELD:
                        continue
                    return
                is_let_go = False
                try:
                    is_let_go = self._go_along(sender, deque(keys))
                finally:
                    if not is_let_go:
                        self.recorder.leases.release(chain)
        except BaseException as error:
            self.messages.put(error)
        finally:
            if target is not None:
                self.opener.close(target)
            self.messages.put(None)

    def _sender(self, target: Destination) -> Sender:
        recorder = self.recorder
        return Sender(
            recorder.engine,
            target,
            recorder.settings,
            recorder.clock,
            recorder.ids,
            is_probe=lambda: recorder.pause is not None,
            begin=self._begin,
        )

    def _is_over(self) -> bool:
        return self.is_over.is_set() or self.halt.is_set()

    def _next(self) -> list[str]:
        try:
            return self.chains.popleft()
        except IndexError:
            return []

    def _begin(self, action: Action) -> None:
        """Wait until it is on disk that a send begins. Raises NotBegun if it must not."""
        begun = _Begun(action)
        self.messages.put(begun)
        begun.is_written.wait()
        if not begun.is_granted:
            raise NotBegun

    def _go_along(self, sender: Sender, keys: deque[str]) -> bool:
        """Try a chain's actions in order; True if the claim on the chain has ended with the last mark."""
        is_let_go = False
        while keys:
            self.limiter.wait(self.is_over)
            if self._is_over():
                self.chains.appendleft(list(keys))
                return False
            key = keys.popleft()
            for action in self._due(key):
                try:
                    tried = _Tried(sender.execute(action), is_last=not keys)
                except NotYet:
                    continue
                except NotBegun:
                    self.chains.appendleft([key, *keys])
                    return False
                self.messages.put(tried)
                tried.is_written.wait()
                is_let_go = tried.is_let_go
        return is_let_go

    def _due(self, key: str) -> list[Action]:
        engine = self.recorder.engine
        return insistently(engine, lambda _: load_due(engine, [key], self.recorder.clock()))
