"""Limits of mails per mailbox, per domain and in all, counted from the rows of the outbox. Only decides.

A caller can name any address. So what callers say alone must not decide how much is written to whom. Alerts go to our
own people and do not count. What a person has sent once more or tried again is that person's decision.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, select

from integrations.addresses import FREE_MAIL, mailbox_of
from integrations.config import IntegrationSettings
from integrations.outbox.alerts import KIND as ALERT
from integrations.outbox.models import DueAction
from integrations.outbox.schema import SKIPPED, actions

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True)
class Mail:
    """A mail that counts: its action, whom it goes to, and when it was due (UTC)."""

    due_key: str
    mailbox: str
    domain: str
    due_at: datetime


def mail_of(action: DueAction, due_key: str, now: datetime) -> Mail | None:
    """What counts of an action; None for anything but a mail to a customer."""
    where = mailbox_of(action.payload.get("to_address")) if action.channel == "email" else None
    if where is None or action.kind == ALERT:
        return None
    due_at = action.due_at or now
    return Mail(due_key, *where, due_at if due_at.tzinfo else due_at.replace(tzinfo=now.tzinfo))


class MailLimits:
    """The limits within one transaction; `note` adds mails whose rows are not written yet.

    Mails count by when they were due, not by when they went out: what waited for a system that was away is no flood.
    """

    def __init__(self, connection: Connection, settings: IntegrationSettings) -> None:
        self._connection, self._settings = connection, settings
        self._noted: dict[str, Mail] = {}

    def note(self, mail: Mail) -> None:
        """Count a mail that is about to be written."""
        self._noted[mail.due_key] = mail

    def forget(self) -> None:
        """The noted mails are written."""
        self._noted.clear()

    def allow(self, mail: Mail) -> bool:
        """True if the mail is within every limit."""
        return all(
            self._count(mail, what, within) < most for most, what, within in self._limits(mail) if most
        )

    def _limits(self, mail: Mail) -> Iterator[tuple[int, str, timedelta]]:
        yield self._settings.email_most_per_address_day, "mailbox", DAY
        if mail.domain not in FREE_MAIL:
            yield self._settings.email_most_per_domain_day, "domain", DAY
        yield self._settings.email_most_per_hour, "", HOUR

    def _count(self, mail: Mail, what: str, within: timedelta) -> int:
        # Both sides of the moment: calls come late and in any order.
        first, last = mail.due_at - within, mail.due_at + within
        columns: dict[str, ColumnElement[bool]] = {
            "mailbox": actions.c.mailbox == mail.mailbox,
            "domain": actions.c.mail_domain == mail.domain,
            "": actions.c.mailbox.is_not(None),
        }
        counts = and_(
            actions.c.channel == "email",
            columns[what],
            actions.c.due_at > first,
            actions.c.due_at < last,
            actions.c.status != SKIPPED,
            actions.c.due_key.not_in([mail.due_key]),
        )
        query = select(func.count(actions.c.due_key.distinct())).where(counts)
        written: int = self._connection.execute(query).scalar_one()
        noted = sum(
            first < other.due_at < last and (not what or getattr(other, what) == getattr(mail, what))
            for key, other in self._noted.items()
            if key != mail.due_key
        )
        return written + int(noted)
