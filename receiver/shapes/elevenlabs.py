"""ElevenLabs' events: `data` is `elevenlabs/types/get_conversation_response_model.py` of `elevenlabs` 2.78."""

from typing import Any, Literal

from receiver.shapes.base import Shape


class Turn(Shape):
    """One turn; a turn that only used a tool has no message."""

    role: Literal["user", "agent"]
    message: str | None = None
    time_in_call_secs: float


class PhoneCall(Shape):
    """The line, where there was one."""

    direction: Literal["inbound", "outbound"]
    agent_number: str
    external_number: str
    call_result: str | None = None


class Metadata(Shape):
    """Times are Unix seconds."""

    start_time_unix_secs: int
    call_duration_secs: float
    termination_reason: str | None = None
    phone_call: PhoneCall | None = None


class Result(Shape):
    """What was collected or judged under one name."""

    value: Any = None
    result: Any = None
    rationale: str | None = None


class Analysis(Shape):
    """What the platform made of the talk."""

    call_successful: Literal["success", "failure", "unknown"]
    transcript_summary: str
    evaluation_criteria_results: dict[str, Result] | None = None
    data_collection_results: dict[str, Result] | None = None


class Client(Shape):
    """What the talk was begun with."""

    dynamic_variables: dict[str, Any] | None = None


class Conversation(Shape):
    """A talk that is over."""

    agent_id: str
    conversation_id: str
    status: Literal["initiated", "in-progress", "processing", "done", "failed"]
    transcript: list[Turn]
    metadata: Metadata
    analysis: Analysis | None = None
    conversation_initiation_client_data: Client | None = None


class Transcription(Shape):
    """`post_call_transcription`."""

    event_timestamp: int
    data: Conversation


class Dial(Shape):
    """A dial that failed; `metadata.body` is what the carrier said."""

    agent_id: str
    conversation_id: str
    failure_reason: str
    metadata: dict[str, Any]


class Failure(Shape):
    """`call_initiation_failure`."""

    event_timestamp: int
    data: Dial


SHAPES = {"analytics.completed": Transcription, "call.end": Failure}
