"""Events that platforms added or that say nothing of a call's result: kept under their own names, with their call."""

from typing import Any

import pytest

from receiver.sources import SOURCES

VAPI = [
    "conversation-update", "function-call", "hang", "speech-update", "tool-calls", "transfer-destination-request",
    "handoff-destination-request", "user-interrupted", "assistant.started", "assistant.speechStarted",
    "language-change-detected", "transfer-update", "call.artifact.upload", "call.deleted", "call.delete.failed",
]  # fmt: skip
RETELL = [
    "transcript_updated",
    "transfer_started",
    "transfer_bridged",
    "transfer_cancelled",
    "transfer_ended",
]
TELNYX = [
    "call.conversation.start_failed", "call.cost", "call.enqueued", "call.dequeued", "call.recording.saved",
    "call.recording.transcription.saved", "call.ai_gather.ended", "call.deepfake_detection.result",
    "call.deepfake_detection.error", "call.machine.detection.ended",
]  # fmt: skip
ELEVENLABS = ["post_call_audio", "answering_machine_detection", "unredacted_transcript", "unredacted_audio"]
OTHER_EVENTS: list[tuple[str, str, Any]] = [
    *(("vapi", name, {"message": {"type": name, "call": {"id": "c1"}}}) for name in VAPI),
    *(("retell", name, {"event": name, "call": {"call_id": "c1"}}) for name in RETELL),
    *(
        ("telnyx", name, {"data": {"event_type": name, "payload": {"call_session_id": "c1"}}})
        for name in TELNYX
    ),
    *(("elevenlabs", name, {"type": name, "data": {"conversation_id": "c1"}}) for name in ELEVENLABS),
]


@pytest.mark.parametrize(("source", "name", "body"), OTHER_EVENTS)
def test_an_event_without_a_meaning_keeps_its_name_and_call(source: str, name: str, body: Any) -> None:
    facts = SOURCES[source].facts(body, {})
    assert (facts.event_type, facts.call_id) == (name, "c1")


def test_a_chat_is_no_call() -> None:
    facts = SOURCES["retell"].facts({"event": "chat_ended", "chat": {"chat_id": "c1"}}, {})
    assert (facts.event_type, facts.call_id) == ("chat_ended", None)


def test_a_finished_transcript_of_telnyx_has_its_facts_beside_the_data() -> None:
    body = {
        "id": "evt-1",
        "event": "transcript.completed",
        "occurred_at": "2026-11-20T10:00:00Z",
        "version": "1",
        "data": {"session_id": "s1", "segment_count": 3},
    }
    facts = SOURCES["telnyx"].facts(body, {})
    assert (facts.event_id, facts.event_type, facts.call_id) == ("evt-1", "transcript.completed", None)
    assert facts.occurred_at is not None
