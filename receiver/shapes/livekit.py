"""LiveKit's events: the messages `WebhookEvent`, `Room` and `ParticipantInfo` of `livekit-protocol` 1, in JSON."""

from typing import Any, Literal

from receiver.shapes.base import Shape


class Room(Shape):
    """Numbers of 64 bits are texts; a field that has its default is left out."""

    sid: str
    name: str
    creationTime: str | None = None
    departureTimeout: int | None = None


class Participant(Shape):
    """A person, or an agent; attributes of SIP begin with `sip.`."""

    sid: str
    identity: str
    kind: Literal["STANDARD", "INGRESS", "EGRESS", "SIP", "AGENT", "CONNECTOR", "BRIDGE"] | None = None
    joinedAt: str | None = None
    attributes: dict[str, str] | None = None
    disconnectReason: str | None = None


class Event(Shape):
    """`createdAt` is in Unix seconds."""

    event: str
    id: str
    createdAt: str
    room: Room
    participant: Participant | None = None
    roomEndReason: str | None = None
    job: Any = None
    numDropped: int | None = None


SHAPES = {"call.start": Event, "call.end": Event}
