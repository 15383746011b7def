"""Tries that were forbidden while nobody knows whether only they are: a key without rights, or one record out of reach.

Once something got through in a pass, what is forbidden fails by itself. Before, such a try is kept unmarked, and others
are made at once, not of the next in line: what is forbidden there often is for one reason, a queue or a project. If one
gets through, only those failed; if they are forbidden too, the destination stops. What is in doubt at the end of a pass
is for the lane to find out.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from integrations.config import IntegrationSettings
from integrations.errors import Forbidden
from integrations.outbox.attempt import failed
from integrations.outbox.results import GOT_THROUGH, STOPPED, Outcome

OPINIONS = 2
"""So many others must be forbidden too."""


class Doubt:
    """What is in doubt in a pass over one destination. Chains are taken by any thread, all else is for one."""

    def __init__(self, settings: IntegrationSettings) -> None:
        self._settings = settings
        self._held: list[Outcome] = []
        self._asked: set[str] = set()
        self._is_taken = False

    def __bool__(self) -> bool:
        return bool(self._held)

    def next(self, chains: deque[list[str]]) -> list[str]:
        """Take the chain to be tried next. Raises IndexError if there is none."""
        if not self._held:
            return chains.popleft()
        chains.rotate(-(len(chains) // 3))
        keys = chains.popleft()
        self._asked.update(keys)
        return keys

    def judged(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes that are known now, in order."""
        known = []
        for outcome in outcomes:
            if outcome.result in GOT_THROUGH:
                self._is_taken = True
                known += [replace(one, is_alone=True) for one in self.settled(is_own=True)]
            elif outcome.result == STOPPED and isinstance(outcome.cause, Forbidden):
                self._held.append(outcome)
                is_told = sum(one.action.action_key in self._asked for one in self._held) >= OPINIONS
                if self._is_taken or is_told:
                    known += self.settled(is_own=self._is_taken)
                continue
            known.append(outcome)
        return known

    def settled(self, *, is_own: bool) -> list[Outcome]:
        """What was in doubt: failures of their own, or tries at which the destination stops."""
        held, self._held, self._asked = self._held, [], set()
        return [failed(one, self._settings) for one in held] if is_own else held
