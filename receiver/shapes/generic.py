"""The generic form: this project's own names."""

from typing import Any

from receiver.shapes.base import Shape


class Turn(Shape):
    """One turn."""

    role: str
    content: str


class Data(Shape):
    """What an event says."""

    call_id: str
    direction: str | None = None
    customer_phone: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    duration_seconds: float | None = None
    answered_by: str | None = None
    end_reason: str | None = None
    disposition: str | None = None
    summary: str | None = None
    transcript: list[Turn] | None = None
    variables: dict[str, Any] | None = None
    metrics: dict[str, Any] | list[dict[str, Any]] | None = None


class Event(Shape):
    """Every event."""

    type: str
    timestamp: str
    data: Data


SHAPES = dict.fromkeys(("call.start", "call.end", "analytics.completed"), Event)
