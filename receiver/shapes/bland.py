"""Bland's body after a call: docs.bland.ai/api-v1/get/calls-id."""

from typing import Any, Literal

from pydantic import Field

from receiver.shapes.base import Shape


class Phrase(Shape):
    """What somebody said, or the agent did."""

    text: str
    user: Literal["user", "assistant", "robot", "agent-action"]
    created_at: str


class Details(Shape):
    """`call_length` is in minutes, `corrected_duration` in seconds."""

    call_id: str
    to: str
    from_: str = Field(alias="from")
    inbound: bool
    completed: bool
    created_at: str
    started_at: str | None = None
    call_length: float | None = None
    corrected_duration: str | float | None = None
    answered_by: str | None = None
    call_ended_by: str | None = None
    transferred_to: str | None = None
    error_message: str | None = None
    summary: str | None = None
    transcripts: list[Phrase]
    variables: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    analysis: dict[str, Any] | None = None


SHAPES = {"analytics.completed": Details}
