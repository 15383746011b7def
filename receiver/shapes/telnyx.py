"""Telnyx's events: the types `call_initiated`, `call_hangup`, `call_conversation_ended` and others of `telnyx` 4."""

from typing import Any, Literal

from pydantic import Field

from receiver.shapes.base import Shape


class Message(Shape):
    """A turn of the conversation, or what a tool did."""

    role: Literal["user", "assistant", "tool", "system", "developer"]
    content: str | None = None
    timestamp: str | None = None


class Insight(Shape):
    """What an insight found out: a text, or an object with fields of the operator's."""

    insight_id: str
    result: dict[str, Any] | str | None = None


class Leg(Shape):
    """What every event says of its leg."""

    call_session_id: str
    call_leg_id: str
    from_: str | None = Field(None, alias="from")
    to: str | None = None
    direction: Literal["incoming", "outgoing"] | None = None
    start_time: str | None = None


class EndedLeg(Leg):
    """`call.hangup` and `call.conversation.ended`."""

    hangup_cause: str | None = None
    hangup_source: Literal["caller", "callee", "unknown"] | None = None
    duration_sec: int | None = None
    messages: list[Message] | None = None
    assistant_id: str | None = None


class AnalysedLeg(Leg):
    """`call.conversation_insights.generated` and `call.analyzed`."""

    results: list[Insight] | None = None
    conversation_insights: list[dict[str, Any]] | None = None


class Data(Shape):
    """An event; `occurred_at` is ISO 8601."""

    id: str
    event_type: str
    occurred_at: str
    payload: Leg


class EndedData(Data):
    """One that ends the call."""

    payload: EndedLeg


class AnalysedData(Data):
    """One that brings insights."""

    payload: AnalysedLeg


class Started(Shape):
    """`call.initiated` and `call.answered`."""

    data: Data


class Ended(Shape):
    """`call.hangup` and `call.conversation.ended`."""

    data: EndedData


class Analysed(Shape):
    """`call.conversation_insights.generated` and `call.analyzed`."""

    data: AnalysedData


SHAPES = {"call.start": Started, "call.end": Ended, "analytics.completed": Analysed}
