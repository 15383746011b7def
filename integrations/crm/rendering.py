"""What a contact, a note or a task says, whatever CRM keeps it: fields, and the same as text.

The contact is known by its phone, notes and tasks hang on it; what they say was decided in `sync_crm_*`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from integrations.destinations import Delivery
from integrations.errors import Refused
from integrations.rendering import Rendered, line, prose, templates

_FOLDER = Path(__file__).parent / "templates"


def fields(delivery: Delivery) -> dict[str, Any]:
    """The record's fields, cleaned.

    Raises:
        Refused: for a kind that no CRM record has, or a record without a phone to hang it on.
    """
    if delivery.kind not in _FIELDS:
        raise Refused(f"there is no CRM record {delivery.kind!r}; there are {', '.join(_FIELDS)}")
    phone = line(delivery.payload.get("phone"), 32)
    if not phone:
        raise Refused(f"a CRM {delivery.kind} needs the customer's phone, and there is none")
    return {"record": delivery.kind, "external_key": delivery.action_key, "phone": phone} | _FIELDS[
        delivery.kind
    ](delivery.payload)


def text(delivery: Delivery, values: dict[str, Any]) -> str:
    """The record as a person reads it."""
    call = {"call_id": line(delivery.call_id), "source": line(delivery.source)}
    return templates(_FOLDER).get_template(f"{delivery.kind}.txt.j2").render(call | values)


def render(delivery: Delivery) -> Rendered:
    """The record as a JSON document of its fields, with `text` beside them."""
    values = fields(delivery)
    title = values.get("title") or values.get("subject") or values.get("name") or values["phone"]
    whole = {**values, "text": text(delivery, values)}
    return Rendered(
        "application/json", str(title), orjson.dumps(whole, default=str, option=orjson.OPT_INDENT_2).decode()
    )


def _contact(told: Any) -> dict[str, Any]:
    return {
        "name": line(told.get("name")),
        "email": line(told.get("email"), 254),
        "is_vip": told.get("is_vip") is True,
        "last_call_at": line(told.get("last_call_at"), 40),
        "call_count": _number(told.get("call_count")) or 0,
    }


def _note(told: Any) -> dict[str, Any]:
    return {
        "title": line(told.get("title")) or "Voice call",
        "body": prose(told.get("body")),
        "started_at": line(told.get("started_at"), 40),
        "duration_seconds": _number(told.get("duration_seconds")),
        "disposition": line(told.get("disposition"), 80),
        "agent_id": line(told.get("agent_id")),
    }


def _task(told: Any) -> dict[str, Any]:
    return {
        "subject": line(told.get("subject")) or "Call back",
        "body": prose(told.get("body")),
        "due_date": line(told.get("due_date"), 40),
        "priority": line(told.get("priority"), 16) or "normal",
    }


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


_FIELDS: dict[str, Callable[[Any], dict[str, Any]]] = {"contact": _contact, "note": _note, "task": _task}
