"""What goes into the outbox and what comes out of it: plain, immutable records without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from integrations.outbox.schema import SkipReason

AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class DueAction:
    """An action as somebody decided that it is due.

    Args:
        action_key: never changes for the same call and the same reason; the action happens once per key.
        channel: ticket, email, crm or chat.
        kind: what it is within the channel, for instance `follow_up_email`.
        source: voice platform of the call.
        call_id: the call.
        payload: everything that the rendering needs; any values that can be written as JSON.
        due_at: when the fact happened for which it is due, UTC; None: it has no age.
        skip_reason: why it cannot be done for now: it has no address, or no phone.
        facts: what a route may ask for and not every payload says: `agent`, `vip`, `queue` and so on.
    """

    action_key: str
    channel: str
    kind: str
    source: str | None
    call_id: str | None
    payload: Mapping[str, Any]
    due_at: datetime | None = None
    skip_reason: SkipReason | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EnqueueReport:
    """What one call of `enqueue` did: new actions, changed ones, untouched ones, and new ones recorded as skipped."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0

    def __add__(self, other: "EnqueueReport") -> "EnqueueReport":
        return EnqueueReport(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.skipped + other.skipped,
        )


@dataclass(frozen=True)
class DispatchReport:
    """What one pass over a channel did.

    Args:
        sent: actions done for the first time.
        updated: records changed that existed before.
        retrying: actions that failed and will be tried again.
        dead: actions given up in this pass.
        skipped: actions that the destination holds back.
        waiting: actions of the channel still to be done after this pass, now or later.
        due: those of them that could be tried at once; another pass is worth while.
        next_attempt_at: the earliest moment at which a retry is due, UTC.
        busy: other processes hold the channel, or all that is due of it; nothing was done.
        paused_until: the channel has stopped, and one action is tried at this moment, UTC.
    """

    sent: int = 0
    updated: int = 0
    retrying: int = 0
    dead: int = 0
    skipped: int = 0
    waiting: int = 0
    due: int = 0
    next_attempt_at: datetime | None = None
    busy: bool = False
    paused_until: datetime | None = None


@dataclass(frozen=True)
class Pause:
    """A destination that stopped at `since` and is tried again at `until` (UTC), as it was `times` times in a row.

    `is_alerted`: a person can mend it, so an alert tells of it.
    """

    channel: str
    destination: str
    reason: str
    since: datetime
    until: datetime
    times: int
    is_alerted: bool


@dataclass(frozen=True)
class Backlog:
    """What a channel still has to do: ready now, later, when the next try is, what waits longest (UTC)."""

    due: int
    later: int
    next_attempt_at: datetime | None
    oldest_due_at: datetime | None


@dataclass(frozen=True)
class Action:
    """One row of the ledger; all times are aware UTC. `due_key` is the action's key without its destination.

    `stopped_at`: when its destination last stopped at it, which cost it no attempt; None once it is sent.
    `begun`: sends whose end nobody knows. `refused_in_row`: refused while nothing got through at its destination.
    `mailbox`, `mail_domain`: whom a mail goes to, as the limits count it.
    """

    action_key: str
    due_key: str
    channel: str
    kind: str
    parent_key: str | None
    source: str | None
    call_id: str | None
    destination: str
    payload: dict[str, Any]
    payload_hash: str
    status: str
    attempts: int
    failures: int
    due_at: datetime | None
    next_attempt_at: datetime | None
    external_id: str | None
    skip_reason: SkipReason | None
    last_error: str | None
    facts: dict[str, Any]
    given_up_by: str | None
    stopped_at: datetime | None
    begun: int
    refused_in_row: bool
    mailbox: str | None
    mail_domain: str | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True)
class Attempt:
    """One try at one action; `outcome` is sent, found, retrying, dead or skipped."""

    action_key: str
    number: int
    started_at: datetime
    finished_at: datetime
    destination: str
    outcome: str
    error: str | None


@dataclass(frozen=True)
class Intervention:
    """What a person did to an action: `retry`, `give-up` or `resend`."""

    action_key: str
    number: int
    at: datetime
    by: str
    did: str


@dataclass(frozen=True)
class Finding:
    """Something wrong that a person should hear of, as it is now.

    Args:
        key: the same as long as it is the same problem.
        subject: the asset check that shows it, as `<asset>:<check>`, for instance `outbox/crm:circuit_closed`.
        headline: one line, without names or numbers from a stranger.
        details: what was seen.
        remedy: what to do.
        next_try_at: when aftercall tries again by itself, UTC; None: it waits for a person.
        alert_after: how long it has to last before an alert tells of it; None: as it is, no alert does.
        since: when it began, UTC; None: at the look that sees it first.
        over_at: when it ended, UTC, if it has ended already; only with `since`.
    """

    key: str
    subject: str
    headline: str
    details: str
    remedy: str
    next_try_at: datetime | None = None
    alert_after: timedelta | None = AT_ONCE
    since: datetime | None = None
    over_at: datetime | None = None


@dataclass(frozen=True)
class Problem:
    """A recorded finding: when it began, when an alert went out, and when it was over (all UTC).

    `alerted_at` is None while the problem is in the list of what needs attention only.
    """

    key: str
    since: datetime
    subject: str
    headline: str
    details: str
    remedy: str
    alerted_at: datetime | None
    resolved_at: datetime | None


@dataclass(frozen=True)
class Reconciled:
    """What began, what is over, and every problem that is open now."""

    opened: tuple[Problem, ...]
    resolved: tuple[Problem, ...]
    open: tuple[Problem, ...]


@dataclass(frozen=True)
class Preview:
    """What would have gone out, exactly; `revision` counts the updates of the record."""

    action_key: str
    destination: str
    channel: str
    media_type: str
    title: str
    body: str
    revision: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Changes:
    """Rows of the ledger as plain dicts, and the cursor to go on from once they are safe elsewhere."""

    rows: list[dict[str, Any]]
    cursor: str


@dataclass(frozen=True)
class Count:
    """How many actions of a channel and kind are in a status."""

    channel: str
    kind: str
    status: str
    actions: int
