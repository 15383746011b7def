"""Twilio's events: the fields of status callbacks, as a form and as Event Streams quotes them (twilio.com/docs)."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, RootModel, Tag

from receiver.shapes.base import Shape


class Fields(Shape):
    """A form has texts only; `Timestamp` is RFC 2822, `CallDuration` in seconds."""

    CallSid: str
    CallStatus: Literal[
        "queued",
        "initiated",
        "ringing",
        "in-progress",
        "completed",
        "busy",
        "no-answer",
        "failed",
        "canceled",
    ]
    Direction: str
    From: str
    To: str
    Timestamp: str | None = None
    CallDuration: str | None = None
    ParentCallSid: str | None = None
    AnsweredBy: str | None = None
    RecordingUrl: str | None = None


class Form(Shape):
    """A form as it is kept."""

    form: Fields
    encoded: str


class Quoted(Shape):
    """The request that Twilio made of a status callback."""

    parameters: Fields


class Data(Shape):
    """What an event of Event Streams is about."""

    request: Quoted


class Streamed(Shape):
    """An event of Event Streams, a CloudEvent."""

    id: str
    type: str
    time: str
    data: Data


def _kind(body: Any) -> str:
    if isinstance(body, list):
        return "streamed"
    return "form" if isinstance(body, dict) and "form" in body else "event"


class Callback(
    RootModel[
        Annotated[
            Annotated[Form, Tag("form")]
            | Annotated[list[Streamed], Field(max_length=1), Tag("streamed")]
            | Annotated[Streamed, Tag("event")],
            Discriminator(_kind),
        ]
    ]
):
    """A form, or an event of Event Streams, alone or as a list of one: of more, only the first is read."""


SHAPES = {"call.start": Callback, "call.end": Callback}
