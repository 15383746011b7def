"""Ultravox's events: the schema *Call Definition* of docs.ultravox.ai, and its page on webhooks."""

from typing import Any, Literal

from receiver.shapes.base import Shape


class Call(Shape):
    """A call as the API answers for it; times are ISO 8601. The end reasons are all that are documented."""

    callId: str
    created: str
    joined: str | None = None
    ended: str | None = None
    endReason: (
        Literal["unjoined", "hangup", "agent_hangup", "timeout", "connection_error", "system_error"] | None
    ) = None
    shortSummary: str | None = None
    summary: str | None = None
    agentId: str | None = None
    medium: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class EndedCall(Call):
    """A call that is over."""

    ended: str


class Event(Shape):
    """`call.started` and `call.joined`."""

    event: str
    call: Call


class Ended(Shape):
    """`call.ended`."""

    event: str
    call: EndedCall


SHAPES = {"call.start": Event, "call.end": Ended}
