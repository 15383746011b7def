"""What a ticket says, whatever system takes it. Plain text only: no system is trusted to escape it.

Title, description, priority and queue were decided in `sync_tickets`; nothing is decided here.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from integrations.destinations import Delivery
from integrations.rendering import Rendered, line, prose, templates

PRIORITIES = ("low", "normal", "high", "urgent")
_FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Ticket:
    """A ticket; `external_key` is the id under which a system is to know it as ours."""

    external_key: str
    title: str
    description: str
    priority: str
    queue: str
    issue_type: str
    is_resolved: bool
    customer_name: str
    customer_phone: str
    customer_email: str


def ticket(delivery: Delivery) -> Ticket:
    """The ticket of an action; an unknown priority becomes normal, an empty title gets the call's id."""
    told = delivery.payload
    name, phone = line(told.get("customer_name")), line(told.get("customer_phone"), 32)
    email = line(told.get("customer_email"), 254)
    description = templates(_FOLDER).get_template("description.txt.j2").render(
        description=prose(told.get("description")) or "Nothing is known about what was said.",
        resolved_later=told.get("is_resolved") is True,
        name=name or "unknown",
        phone=phone,
        email=email,
        call_id=line(delivery.call_id),
        source=line(delivery.source),
    )  # fmt: skip
    priority = line(told.get("priority")).lower()
    return Ticket(
        external_key=delivery.action_key,
        title=line(told.get("title")) or f"Call {line(delivery.call_id)}",
        description=description,
        priority=priority if priority in PRIORITIES else "normal",
        queue=line(told.get("queue")) or "support",
        issue_type=line(told.get("issue_type")) or "general",
        is_resolved=told.get("is_resolved") is True,
        customer_name=name,
        customer_phone=phone,
        customer_email=email,
    )


def render(delivery: Delivery) -> Rendered:
    """The ticket as a JSON document."""
    made = ticket(delivery)
    return Rendered(
        "application/json", made.title, orjson.dumps(asdict(made), option=orjson.OPT_INDENT_2).decode()
    )
