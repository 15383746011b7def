"""Vapi's messages: `vapi/types/server_message_{status_update,end_of_call_report}.py` of `vapi-server-sdk` 3.0."""

from typing import Any, Literal

from receiver.shapes.base import Shape


class Line(Shape):
    """The human, or our line."""

    number: str | None = None


class Call(Shape):
    """The call that a message is about."""

    id: str
    type: Literal["inboundPhoneCall", "outboundPhoneCall", "webCall", "vapi.websocketCall"] | None = None
    assistantId: str | None = None
    customer: Line | None = None


class Said(Shape):
    """One message of the talk; `time` is in Unix milliseconds."""

    role: str
    message: str | None = None
    time: float


class Artifact(Shape):
    """What is left of the call."""

    messages: list[Said] | None = None
    recordingUrl: str | None = None
    variableValues: dict[str, Any] | None = None
    structuredOutputs: dict[str, dict[str, Any]] | None = None


class Analysis(Shape):
    """`successEvaluation` is a text whatever its rubric."""

    summary: str | None = None
    structuredData: dict[str, Any] | None = None
    successEvaluation: str | None = None


class StatusUpdate(Shape):
    """`status-update`."""

    type: Literal["status-update"]
    status: str
    timestamp: float | None = None
    call: Call
    customer: Line | None = None


class EndedUpdate(StatusUpdate):
    """The last status of a call says why it ended."""

    endedReason: str


class Report(Shape):
    """`end-of-call-report`; times are ISO 8601."""

    type: Literal["end-of-call-report"]
    endedReason: str
    startedAt: str | None = None
    endedAt: str | None = None
    call: Call
    customer: Line | None = None
    artifact: Artifact
    analysis: Analysis


class Updated(Shape):
    """A status update in its envelope."""

    message: StatusUpdate


class Ended(Shape):
    """The last status update in its envelope."""

    message: EndedUpdate


class Reported(Shape):
    """The report in its envelope."""

    message: Report


SHAPES = {"call.start": Updated, "call.end": Ended, "analytics.completed": Reported}
