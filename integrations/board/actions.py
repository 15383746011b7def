"""What the board shows of the outbox: what was done today, what waits, what failed, and one action with its look."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from integrations.board import masking
from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.errors import DestinationUnavailable, Rejected, Suppressed
from integrations.outbox import UNSETTLED, UPDATABLE, Action, Outbox, state_of
from integrations.rendering import Rendered

PAGE = 50
ACTIONS_OF_A_CALL = 100
SHOWN_TROUBLED = 6


@dataclass(frozen=True)
class Summary:
    """Actions by channel and state: waiting and failed whenever, all others of today.

    `troubled`: those that have failed or are tried again, without those that a person has closed.
    """

    counts: dict[str, dict[str, int]]
    troubled: list[Action]

    def total(self, word: str) -> int:
        """Over all channels."""
        return sum(counts.get(word, 0) for counts in self.counts.values())


@dataclass(frozen=True)
class Look:
    """What goes out, or why nothing can."""

    rendered: Rendered | None
    refusal: str = ""


def summary(outbox: Outbox, since: datetime) -> Summary:
    """The day so far, and the actions that need a person or fail."""
    counts: dict[str, dict[str, int]] = {channel: {} for channel in CHANNELS} | outbox.state_counts(since)
    return Summary(counts, outbox.troubled(limit=SHOWN_TROUBLED))


def listed(
    outbox: Outbox, channel: str = "", status: str = "", since: datetime | None = None, page: int = 0
) -> list[Action]:
    """A page of actions that match, the last changed first, and one more if there are more."""
    return outbox.actions(
        channel=channel or None, state=status, since=since, limit=PAGE + 1, offset=page * PAGE
    )


def reference(action_key: str) -> str:
    """An action's key as addresses have it: a contact's key holds a phone number, which an address must not."""
    if masking.text(action_key, mask=True) == action_key:
        return action_key
    return "~" + hashlib.sha256(action_key.encode()).hexdigest()[:32]


def by_reference(outbox: Outbox, ref: str) -> Action | None:
    """The action behind an address."""
    if not ref.startswith("~"):
        return outbox.action(ref)
    key = next((key for key in outbox.action_keys() if reference(key) == ref), None)
    return outbox.action(key) if key else None


def look(outbox: Outbox, action: Action, settings: IntegrationSettings) -> Look:
    """The stored preview of an action, or else what its channel has sent, or would send now."""
    preview = outbox.preview(action.action_key)
    if preview:
        return Look(Rendered(preview.media_type, preview.title, preview.body))
    try:
        return Look(outbox.rendered(action, settings))
    except (Rejected, DestinationUnavailable, Suppressed) as error:
        return Look(None, refusal=str(error))


def can_retry(action: Action) -> bool:
    """Whether the outbox would try it again; it has the last word."""
    if state_of(action) == "waiting":
        return False
    return action.sent_at is None or action.kind in UPDATABLE


def can_give_up(action: Action) -> bool:
    """Whether it is still open."""
    return action.status in UNSETTLED
