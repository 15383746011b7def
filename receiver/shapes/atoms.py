"""Atoms' events in both dialects: the vendor's webhook page and OpenAPI file (wire), its event payload guide (seed)."""

from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, RootModel, Tag

from receiver.shapes.base import Shape


class Turn(Shape):
    """One turn."""

    role: str
    content: str
    timestamp: str | None = None


class CallData(Shape):
    """The line of a call that is over; `callDuration` is in seconds."""

    fromNumber: str | None = None
    toNumber: str | None = None
    callDuration: float | None = None
    callStatus: str
    callDirection: str | None = None
    answerTime: str | None = None
    endTime: str | None = None


class Metric(Shape):
    """One measure."""

    identifier: str
    value: int | float | str | bool | None
    confidence: float | None = None
    reasoning: str | None = None


class Analytics(Shape):
    """What was measured."""

    summary: str | None = None
    dispositionMetrics: list[Metric]
    successMetrics: list[Metric]


class Metadata(Shape):
    """What every wire event has."""

    agentId: str
    eventType: str
    callId: str


class Dialled(Metadata):
    """Who calls whom."""

    conversationType: str
    toPhone: str | None = None
    fromPhone: str | None = None


class Talked(Metadata):
    """What was said."""

    callData: CallData
    transcript: list[Turn] | None = None
    variables: dict[str, Any] | None = None


class Measured(Metadata):
    """What was measured, and when."""

    callData: CallData | None = None
    analytics: Analytics


class WireStart(Shape):
    """`pre-conversation`."""

    id: str
    metadata: Dialled


class WireEnd(Shape):
    """`post-conversation`."""

    id: str
    metadata: Talked


class WireAnalytics(Shape):
    """`analytics-completed`."""

    id: str
    metadata: Measured


class Seed(Shape):
    """What every seed event has."""

    event: str
    timestamp: str
    agent_id: str
    call_id: str


class SeedStart(Seed):
    """`call.start`; `caller_phone` is the customer's."""

    call_direction: str
    caller_phone: str
    agent_phone: str


class SeedEnd(Seed):
    """`call.end`."""

    duration_seconds: float
    disposition: str
    transcript: list[Turn]
    variables: dict[str, Any]


class SeedAnalytics(Seed):
    """`analytics.completed`."""

    metrics: dict[str, Any]


def _dialect(body: Any) -> str:
    return "wire" if isinstance(body, dict) and "metadata" in body else "seed"


def _either(wire: type[Shape], seed: type[Shape]) -> type[BaseModel]:
    """The shape of the dialect that a body is in, so that it is not held against the other's."""
    dialects = Annotated[
        Annotated[wire, Tag("wire")] | Annotated[seed, Tag("seed")],  # type: ignore[valid-type]
        Discriminator(_dialect),
    ]
    return RootModel[dialects]


SHAPES = {
    "call.start": _either(WireStart, SeedStart),
    "call.end": _either(WireEnd, SeedEnd),
    "analytics.completed": _either(WireAnalytics, SeedAnalytics),
}
