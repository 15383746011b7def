"""What a contact, a note or a task says, whatever CRM keeps it: fields, and the same as text or HTML.

The contact is known by its phone, notes and tasks hang on it; what they say was decided in `sync_crm_*`. By which names
a CRM knows the fields is in its own file.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson

from integrations.destinations import Delivery
from integrations.errors import Unsendable
from integrations.rendering import (
    LONGEST_ADDRESS,
    Rendered,
    fitted,
    instant,
    is_address,
    line,
    prose,
    templates,
)

LONGEST_KEY = 200
LONGEST_NAME = 2_000
_FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Record:
    """A record to be written.

    Args:
        kind: contact, note or task.
        key: what to find it by: the action's key, of a very long one its SHA-256.
        phone: the customer's number.
        values: its fields, cleaned; those of `fields`.
        call: `call_id` and `source`.
        at: the moment of this try, UTC.
        contact_id: the contact that it hangs on, as far as that is known.
        left_out: what the system refuses of it, as a note; empty if nothing.
    """

    kind: str
    key: str
    phone: str
    values: Mapping[str, Any]
    call: Mapping[str, str]
    at: datetime
    contact_id: str = ""
    left_out: str = ""

    @property
    def is_verified(self) -> bool:
        """False if nobody but the call itself says whose number it is: the variables of a web call can claim any."""
        return bool(self.values.get("is_phone_verified", True))

    @property
    def email(self) -> str:
        """The customer's address; empty if it is not known."""
        return str(self.values.get("email") or "")

    def own(self, name: str) -> str:
        """One of a contact's values as text: a number, a time as ISO 8601 UTC, or true and false."""
        value = self.values.get(name)
        if isinstance(value, bool):
            return str(value).lower()
        when = instant(value) if name == "last_call_at" else None
        return f"{when:%Y-%m-%dT%H:%M:%SZ}" if when else str("" if value is None else value)

    @property
    def started_at(self) -> datetime:
        """When the call began, UTC; if nobody knows, now."""
        return instant(self.values.get("started_at")) or self.at

    @property
    def due_on(self) -> date:
        """The day on which a task is due; if nobody knows, today."""
        due = instant(self.values.get("due_date"))
        return (due or self.at).date()

    @property
    def priority(self) -> str:
        """high, normal or low."""
        priority = self.values.get("priority")
        return priority if priority in ("high", "low") else "normal"

    def text(self, most: int) -> str:
        """The record as a person reads it, at most so many characters."""
        return self._fitted("txt", most)

    def html(self, most: int) -> str:
        """The same for a CRM that shows HTML; whatever strangers said is escaped."""
        return self._fitted("html", most)

    def _fitted(self, form: str, most: int) -> str:
        def rendered(room: int) -> str:
            values = {**self.values, **self.call, "body": prose(body, room)}
            return _rendered(self.kind, form, values)

        # Only the body may be long; how long it becomes depends on what must be escaped in it.
        body = str(self.values.get("body") or "")
        body += f"\n\nLeft out: {self.left_out}" if self.left_out else ""
        return fitted(rendered, most, len)


def record_of(delivery: Delivery) -> Record:
    """What is to be written; Unsendable as `fields` says."""
    values = fields(delivery)
    key = line(delivery.action_key, LONGEST_KEY + 1)
    if len(key) > LONGEST_KEY:
        key = hashlib.sha256(delivery.action_key.encode("utf-8", "replace")).hexdigest()
    return Record(
        delivery.kind, key, values["phone"], values, _call(delivery), delivery.at, delivery.contact_id or ""
    )


def fields(delivery: Delivery) -> dict[str, Any]:
    """The record's fields, cleaned.

    Raises:
        Unsendable: for a kind that no CRM record has, or a record without a phone to hang it on.
    """
    if delivery.kind not in _FIELDS:
        raise Unsendable(f"there is no CRM record {delivery.kind!r}; there are {', '.join(_FIELDS)}")
    phone = line(delivery.payload.get("phone"), 32)
    if not phone:
        raise Unsendable(f"a CRM {delivery.kind} needs the customer's phone, and there is none")
    values = _FIELDS[delivery.kind](delivery.payload)
    return {"record": delivery.kind, "external_key": delivery.action_key, "phone": phone, **values}


def text(delivery: Delivery, values: dict[str, Any]) -> str:
    """The record as a person reads it."""
    return _rendered(delivery.kind, "txt", {**_call(delivery), **values})


def render(delivery: Delivery) -> Rendered:
    """The record as a JSON document of its fields, with `text` beside them."""
    values = fields(delivery)
    title = values.get("title") or values.get("subject") or values.get("name") or values["phone"]
    whole = {**values, "text": text(delivery, values)}
    return Rendered(
        "application/json", str(title), orjson.dumps(whole, default=str, option=orjson.OPT_INDENT_2).decode()
    )


def _rendered(kind: str, form: str, values: Mapping[str, Any]) -> str:
    return templates(_FOLDER).get_template(f"{kind}.{form}.j2").render(values)


def _call(delivery: Delivery) -> dict[str, str]:
    return {"call_id": line(delivery.call_id), "source": line(delivery.source)}


def _contact(payload: Any) -> dict[str, Any]:
    return {
        "name": line(payload.get("name"), LONGEST_NAME),
        # What is no address would only keep a CRM from taking the rest.
        "email": email if is_address(email := line(payload.get("email"), LONGEST_ADDRESS + 1)) else "",
        "is_vip": payload.get("is_vip") is True,
        "is_phone_verified": payload.get("is_phone_verified") is not False,
        "last_call_at": line(payload.get("last_call_at"), 40),
        "call_count": _number(payload.get("call_count")) or 0,
    }


def _note(payload: Any) -> dict[str, Any]:
    return {
        "title": line(payload.get("title")) or "Voice call",
        "body": prose(payload.get("body")),
        "started_at": line(payload.get("started_at"), 40),
        "duration_seconds": _number(payload.get("duration_seconds")),
        "disposition": line(payload.get("disposition"), 80),
        "agent_id": line(payload.get("agent_id")),
    }


def _task(payload: Any) -> dict[str, Any]:
    return {
        "subject": line(payload.get("subject")) or "Call back",
        "body": prose(payload.get("body")),
        "due_date": line(payload.get("due_date"), 40),
        "priority": line(payload.get("priority"), 16) or "normal",
    }


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


_FIELDS: dict[str, Callable[[Any], dict[str, Any]]] = {"contact": _contact, "note": _note, "task": _task}
