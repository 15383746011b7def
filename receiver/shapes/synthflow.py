"""Synthflow's body after a call: docs.synthflow.ai, page *Post-call webhook*."""

from typing import Any

from receiver.shapes.base import Shape


class Lead(Shape):
    """The customer; the number may be masked."""

    name: str | None = None
    phone_number: str | None = None
    prompt_variables: dict[str, Any] | None = None


class Call(Shape):
    """`duration` is in seconds, `start_time` ISO 8601 with an offset."""

    call_id: str
    model_id: str | None = None
    status: str
    end_call_reason: str | None = None
    start_time: str
    duration: int | float
    transcript: str | None = None
    recording_url: str | None = None


class Report(Shape):
    """The end of a call and what was found out."""

    status: str
    lead: Lead
    call: Call
    analysis: dict[str, Any] | None = None


SHAPES = {"analytics.completed": Report}
