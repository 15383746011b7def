"""What an update may change on a ticket that people work on, and how one is recognised that was made already.

Each system keeps, on the ticket itself, what aftercall wrote there last (`LastWritten`). A field that somebody else
changed since is theirs. Whatever is new goes into a comment, once: the description is never rewritten.
How a system keeps it belongs to the systems' files.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from integrations.errors import NotFound
from integrations.ticket.rendering import Ticket

_ENOUGH = 20


@dataclass(frozen=True)
class LastWritten:
    """What aftercall wrote last, as digests; small enough for any system's metadata.

    Args:
        text: of summary, facts that are news, and transcript.
        transcript: of the transcript alone.
        fields: of each field's value, by the system's own name.
    """

    text: str
    transcript: str
    fields: Mapping[str, str]

    def dumped(self) -> str:
        """As one line of JSON, under 1 kB."""
        digests = {"text": self.text, "transcript": self.transcript, "fields": dict(self.fields)}
        return orjson.dumps(digests, option=orjson.OPT_SORT_KEYS).decode()


@dataclass(frozen=True)
class Update:
    """What is to be done to a ticket.

    Args:
        fields: new values, only of fields that nobody else changed.
        comment: the ticket as a comment says it; without the transcript if the ticket has that already. None: no
            comment, as only fields are new.
        written: what to keep on the ticket.
    """

    fields: Mapping[str, str]
    comment: Ticket | None
    written: LastWritten


def reference(action_key: str) -> str:
    """The action's key as a word that every system can hold and search for: `aftercall-` and 20 hex digits."""
    return f"aftercall-{_digest(action_key)}"


def first(ticket: Ticket, fields: Mapping[str, str]) -> LastWritten:
    """What to keep on a ticket that is created with these fields."""
    return seen(
        _digest(orjson.dumps([ticket.summary, ticket.news, ticket.transcript])),
        _digest(ticket.transcript),
        fields,
    )


def seen(text: str, transcript: str, values: Mapping[str, str]) -> LastWritten:
    """What aftercall wrote last, where that is known of the values themselves."""
    return LastWritten(text, transcript, {name: _digest(value) for name, value in values.items()})


def read(text: Any) -> LastWritten | None:
    """What was kept; None if nothing was, or somebody changed it."""
    try:
        stored = orjson.loads(text)
        return LastWritten(str(stored["text"]), str(stored["transcript"]), dict(stored["fields"]))
    except (ValueError, TypeError, KeyError):
        return None


def update(
    ticket: Ticket, fields: Mapping[str, str], current: Mapping[str, str], last: LastWritten | None
) -> Update | None:
    """What to do to a ticket; None if it says all this already (a crash came between its update and the mark).

    Args:
        ticket: the ticket as it is to be.
        fields: values that it is to have, by the system's own names.
        current: the same fields as they are.
        last: what aftercall wrote last; None: nobody knows, so that no field is touched.
    """
    new = first(ticket, fields)
    if last is None:
        return Update({}, ticket, replace(new, fields={}))
    ours = {name for name in fields if last.fields.get(name) == _digest(current.get(name, ""))}
    changed = {name: value for name, value in fields.items() if name in ours and value != current.get(name)}
    # A field that is theirs stays theirs: what is kept is what aftercall really wrote.
    digests = {name: new.fields[name] if name in ours else last.fields.get(name, "") for name in fields}
    comment: Ticket | None = None
    if last.text != new.text:
        comment = replace(ticket, transcript="") if last.transcript == new.transcript else ticket
    return Update(changed, comment, replace(new, fields=digests)) if changed or comment else None


def lessened(due: Update, left_out: Collection[str], last: LastWritten | None) -> Update:
    """The update without these fields; what is kept on the ticket of them is what was kept there before."""
    if not left_out:
        return due
    known = last.fields if last else {}
    digests = {
        name: known.get(name, "") if name in left_out else digest
        for name, digest in due.written.fields.items()
    }
    fields = {name: value for name, value in due.fields.items() if name not in left_out}
    return replace(due, fields=fields, written=replace(due.written, fields=digests))


def gone(system: str, external_id: str) -> NotFound:
    """A ticket that aftercall made is not there any more; it is made anew, because what is due is not withdrawn."""
    return NotFound(f"{system} has no ticket {external_id} any more, or does not show it to this key")


def _digest(value: str | bytes) -> str:
    data = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
    return hashlib.sha256(data).hexdigest()[:_ENOUGH]
