"""Retell's events: `retell/types/phone_call_response.py` and `web_call_response.py` of `retell-sdk` 6.2."""

from typing import Any, Literal

from receiver.shapes.base import Shape


class Turn(Shape):
    """One utterance, with when its words began."""

    role: Literal["agent", "user", "transfer_target"]
    content: str
    words: list[dict[str, Any]]


class Analysis(Shape):
    """Scores that an agent is told to measure are in `custom_analysis_data`."""

    call_summary: str | None = None
    call_successful: bool | None = None
    in_voicemail: bool | None = None
    user_sentiment: Literal["Negative", "Positive", "Neutral", "Unknown"] | None = None
    custom_analysis_data: dict[str, Any] | None = None


class Call(Shape):
    """A call from its start on; times are Unix milliseconds."""

    call_id: str
    agent_id: str
    call_type: Literal["phone_call", "web_call"]
    call_status: Literal["registered", "not_connected", "ongoing", "ended", "error"]
    direction: Literal["inbound", "outbound"] | None = None
    from_number: str | None = None
    to_number: str | None = None
    start_timestamp: int | None = None
    metadata: dict[str, Any] | None = None
    retell_llm_dynamic_variables: dict[str, str] | None = None


class EndedCall(Call):
    """A call that is over."""

    disconnection_reason: str
    end_timestamp: int | None = None
    duration_ms: int | None = None
    transcript_object: list[Turn] | None = None
    collected_dynamic_variables: dict[str, str] | None = None
    recording_url: str | None = None


class AnalysedCall(EndedCall):
    """A call that is over and was looked at."""

    call_analysis: Analysis


class Started(Shape):
    """`call_started`."""

    call: Call


class Ended(Shape):
    """`call_ended`."""

    call: EndedCall


class Analysed(Shape):
    """`call_analyzed`."""

    call: AnalysedCall


SHAPES = {"call.start": Started, "call.end": Ended, "analytics.completed": Analysed}
