"""Bodies of calls that reached a person, a machine or nobody, in each platform's own words.

Every body has a transcript, where its platform sends one, and a verdict that the call failed: neither says that the
customer was spoken to, and neither is an outcome of a call that reached nobody.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

TURNS = [("agent", "Hello, this is the shop."), ("user", "You have reached Ann. My invoice is wrong.")]
STARTED, ENDED = 1793610000, 1793610042
OURS, THEIRS = "+12025550199", "+12025550134"
MAIL = "ann@example.com"
Delivery = tuple[str, bytes, bool]
"""Platform, body, and whether the body is a form."""
Case = tuple[str, str, list[Delivery], str, bool | None]
"""Platform, the way of saying, its deliveries, the answer status and whether the call is resolved."""


def cases() -> Iterator[Case]:
    """Every way of saying whom a call reached; the call's id is `<platform>-<way>`."""
    for platform, ways in _WAYS.items():
        for way, (overrides, status) in ways.items():
            call_id = f"{platform}-{way}"
            resolved = False if status == "answered" and platform not in _WITHOUT_VERDICT else None
            yield platform, way, _BODIES[platform](call_id, overrides), status, resolved


def _json(platform: str, body: Any) -> Delivery:
    return platform, json.dumps(body).encode(), False


def _retell(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    call: dict[str, Any] = {
        "call_id": call_id, "agent_id": "ag", "call_type": "phone_call", "direction": "outbound", "from_number": OURS,
        "to_number": THEIRS, "call_status": "ended", "start_timestamp": STARTED * 1000, "end_timestamp": ENDED * 1000,
        "duration_ms": 42000, "disconnection_reason": "agent_hangup",
        "transcript_object": [{"role": role, "content": text, "words": []} for role, text in TURNS],
        "retell_llm_dynamic_variables": {"customer_email": MAIL},
    }  # fmt: skip
    call |= {name: value for name, value in overrides.items() if name != "in_voicemail"}
    analysis = {
        "custom_analysis_data": {},
        "user_sentiment": "Unknown",
        "call_successful": False,
        "in_voicemail": overrides.get("in_voicemail", False),
    }
    return [
        _json("retell", {"event": "call_ended", "call": call}),
        _json("retell", {"event": "call_analyzed", "call": call | {"call_analysis": analysis}}),
    ]


def _vapi(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    message = {
        "type": "end-of-call-report", "timestamp": ENDED * 1000, "startedAt": "2026-11-02T09:00:00Z",
        "endedAt": "2026-11-02T09:00:42Z", "customer": {"number": THEIRS},
        "call": {"id": call_id, "type": "outboundPhoneCall", "customer": {"number": THEIRS}},
        "artifact": {
            "variableValues": {"customer_email": MAIL},
            "messages": [{"role": "bot" if who == "agent" else who, "message": text} for who, text in TURNS],
        },
        "analysis": {"successEvaluation": "false"}, **overrides,
    }  # fmt: skip
    return [_json("vapi", {"message": message})]


def _elevenlabs(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    if "failure_reason" in overrides:
        data = {
            "agent_id": "ag",
            "conversation_id": call_id,
            "metadata": {"body": {"To": THEIRS}},
            **overrides,
        }
        return [
            _json("elevenlabs", {"type": "call_initiation_failure", "event_timestamp": ENDED, "data": data})
        ]
    data = {
        "agent_id": "ag", "conversation_id": call_id, "status": "done",
        "transcript": [{"role": role, "message": text, "time_in_call_secs": 0} for role, text in TURNS],
        "metadata": {
            "start_time_unix_secs": STARTED, "call_duration_secs": 42,
            "termination_reason": overrides.get("termination_reason", "Client disconnected: 1000"),
            "phone_call": {"direction": "outbound", "agent_number": OURS, "external_number": THEIRS,
                           "call_result": overrides.get("call_result")},
        },
        "analysis": {"call_successful": "failure", "transcript_summary": "An invoice."},
        "conversation_initiation_client_data": {"dynamic_variables": {"customer_email": MAIL}},
    }  # fmt: skip
    return [_json("elevenlabs", {"type": "post_call_transcription", "event_timestamp": ENDED, "data": data})]


def _bland(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    body = {
        "call_id": call_id, "to": THEIRS, "from": OURS, "inbound": False, "completed": True, "call_length": 0.7,
        "created_at": "2026-11-02T09:00:00Z", "started_at": "2026-11-02T09:00:00Z", "status": "completed",
        "transcripts": [
            {"id": place, "created_at": "2026-11-02T09:00:05Z", "text": text,
             "user": "assistant" if who == "agent" else who} for place, (who, text) in enumerate(TURNS)
        ],
        "variables": {"customer_email": MAIL}, "disposition_tag": "UNSUCCESSFUL", "summary": "An invoice.", **overrides,
    }  # fmt: skip
    return [_json("bland", body)]


def _synthflow(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    call = {
        "call_id": call_id, "model_id": "m", "status": "completed", "end_call_reason": "agent_goodbye",
        "start_time": "2026-11-02T09:00:00+00:00", "duration": 42,
        "transcript": "\n".join(f"{'bot' if who == 'agent' else 'human'}: {text}" for who, text in TURNS),
    } | {name: value for name, value in overrides.items() if name != "analysis"}  # fmt: skip
    body = {"status": "completed", "call": call, "analysis": overrides.get("analysis", {}),
            "lead": {"name": "Ann", "phone_number": THEIRS, "prompt_variables": {"customer_email": MAIL}}}  # fmt: skip
    return [_json("synthflow", body)]


def _telnyx(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    events = [("call.initiated", {"direction": "outgoing"})]
    if "detected" in overrides:
        events.append((overrides["detected"], {"result": overrides["result"]}))
    events.append(("call.hangup", {"hangup_cause": overrides.get("hangup_cause", "normal_clearing")}))
    ids = {
        "call_session_id": call_id,
        "call_leg_id": overrides.get("leg", call_id),
        "from": OURS,
        "to": THEIRS,
    }
    moments = [f"2026-11-02T09:00:{second:02d}.000000Z" for second in (0, 5, 42)]
    if len(events) == 2:
        moments.pop(1)
    telnyx_events = []
    for moment, (kind, fields) in zip(moments, events, strict=True):
        own = ids if kind.startswith("call.machine") else ids | {"call_leg_id": call_id}
        data = {"event_type": kind, "id": f"{call_id}-{kind}", "occurred_at": moment}
        telnyx_events.append(_json("telnyx", {"data": data | {"payload": own | fields}}))
    return telnyx_events


def _twilio(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    line = {"CallSid": call_id, "From": OURS, "To": THEIRS, "Direction": "outbound-api"}
    forms = [line | {"CallStatus": "completed", "CallDuration": "42"} | overrides]
    if overrides.get("CallStatus") == "alone":
        forms = [
            line | {"CallStatus": "completed", "CallDuration": "42"},
            {"CallSid": call_id, "AnsweredBy": overrides["AnsweredBy"]},
        ]
    return [("twilio", urlencode(form).encode(), True) for form in forms]


def _ultravox(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    call = {
        "callId": call_id, "created": "2026-11-02T09:00:00Z", "joined": "2026-11-02T09:00:00Z",
        "ended": "2026-11-02T09:00:42Z", "endReason": "hangup", "medium": {"twilio": {"outgoing": {"to": THEIRS}}},
    } | overrides  # fmt: skip
    return [_json("ultravox", {"event": "call.ended", "call": call})]


def _atoms(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    turns = [{"role": role, "content": text} for role, text in TURNS]
    if "callStatus" in overrides:
        metadata = {
            "agentId": "ag", "eventType": "post-conversation", "conversationType": "telephonyOutbound",
            "callId": call_id, "transcript": turns, "variables": {"customer_email": MAIL},
            "callData": {"fromNumber": OURS, "toNumber": THEIRS, "callDuration": 42.0, **overrides},
        }  # fmt: skip
        analytics = metadata | {
            "eventType": "analytics-completed",
            "analytics": {"dispositionMetrics": [{"identifier": "call_outcome", "value": "unsuccessful"}]},
        }
        return [
            _json("atoms", {"id": f"{call_id}-{one['eventType']}", "event": f"ag.{one['eventType']}", "metadata": one})
            for one in (metadata, analytics)
        ]  # fmt: skip
    common = {"timestamp": "2026-11-02T09:00:42Z", "agent_id": "ag", "call_id": call_id}
    end = {"event": "call.end", "duration_seconds": 42, "disposition": "unsuccessful", "transcript": turns}
    return [
        _json(
            "atoms", common | end | {name: overrides[name] for name in ("disposition",) if name in overrides}
        ),
        _json("atoms", common | {"event": "analytics.completed", "metrics": overrides.get("metrics", {})}),
    ]


def _generic(call_id: str, overrides: dict[str, Any]) -> list[Delivery]:
    data = {
        "call_id": call_id, "direction": "outbound", "customer_phone": THEIRS, "disposition": "unsuccessful",
        "duration_seconds": 42, "transcript": [{"role": role, "content": text} for role, text in TURNS], **overrides,
    }  # fmt: skip
    return [_json("generic", {"type": "call.end", "timestamp": "2026-11-02T09:00:42Z", "data": data})]


_BODIES = {
    "atoms": _atoms, "bland": _bland, "elevenlabs": _elevenlabs, "generic": _generic, "retell": _retell,
    "synthflow": _synthflow, "telnyx": _telnyx, "twilio": _twilio, "ultravox": _ultravox, "vapi": _vapi,
}  # fmt: skip
_WITHOUT_VERDICT = ("synthflow", "telnyx", "twilio", "ultravox")
_SESSION, _OTHER_LEG = "7a0d2f5e-a1b2-11f1-8c7e-02420aef2a10", "9b0d2f5e-a1b3-11f1-8c7e-02420aef2a10"
_NOT_CONNECTED: dict[str, Any] = {
    "call_status": "not_connected", "start_timestamp": None, "duration_ms": 0, "transcript_object": [],
}  # fmt: skip
_WAYS: dict[str, dict[str, tuple[dict[str, Any], str]]] = {
    "retell": {
        "talked": ({}, "answered"),
        "flag": ({"in_voicemail": True}, "voicemail"),
        "flag-as-text": ({"in_voicemail": "true"}, "voicemail"),
        "voicemail": ({"disconnection_reason": "voicemail_reached"}, "voicemail"),
        "ivr": ({"disconnection_reason": "ivr_reached"}, "voicemail"),
        "busy": (_NOT_CONNECTED | {"disconnection_reason": "dial_busy"}, "busy"),
        "no-answer": (_NOT_CONNECTED | {"disconnection_reason": "dial_no_answer"}, "no_answer"),
        "failed": (_NOT_CONNECTED | {"disconnection_reason": "dial_failed"}, "failed"),
        "wrong-number": (_NOT_CONNECTED | {"disconnection_reason": "invalid_destination"}, "failed"),
        "declined": (_NOT_CONNECTED | {"disconnection_reason": "user_declined"}, "declined"),
        "no-reason": (_NOT_CONNECTED | {"disconnection_reason": None}, "failed"),
        "ringback-as-turn": ({"disconnection_reason": "dial_no_answer"}, "no_answer"),
        "broke-off": ({"disconnection_reason": "error_llm_websocket_lost_connection"}, "answered"),
    },
    "vapi": {
        "talked": ({"endedReason": "customer-ended-call"}, "answered"),
        "voicemail": ({"endedReason": "voicemail"}, "voicemail"),
        "busy": ({"endedReason": "customer-busy"}, "busy"),
        "no-answer": ({"endedReason": "customer-did-not-answer"}, "no_answer"),
        "forwarded-to-nobody": ({"endedReason": "call.forwarding.no-answer"}, "answered"),
        "broke-off": ({"endedReason": "call.in-progress.error-vapifault-worker-died"}, "answered"),
    },
    "elevenlabs": {
        "talked": ({"call_result": "answered"}, "answered"),
        "says-nothing": ({}, "answered"),
        "voicemail": ({"call_result": "voicemail"}, "voicemail"),
        "busy": ({"call_result": "busy"}, "busy"),
        "no-answer": ({"call_result": "no_answer"}, "no_answer"),
        "failed": ({"call_result": "failed"}, "failed"),
        "end-reason": ({"termination_reason": "voicemail_detection tool was called."}, "voicemail"),
        "dial-busy": ({"failure_reason": "busy"}, "busy"),
        "dial-no-answer": ({"failure_reason": "no-answer"}, "no_answer"),
        "dial-unknown": ({"failure_reason": "unknown"}, "failed"),
    },
    "bland": {
        "talked": ({"answered_by": "human"}, "answered"),
        "not-known": ({"answered_by": "unknown"}, "answered"),
        "voicemail": ({"answered_by": "voicemail"}, "voicemail"),
        "no-answer": ({"answered_by": "no-answer"}, "no_answer"),
        "status-busy": ({"status": "busy"}, "busy"),
        "status-no-answer": ({"status": "no-answer"}, "no_answer"),
        "tag": ({"disposition_tag": "VOICEMAIL"}, "voicemail"),
    },
    "synthflow": {
        "talked": ({}, "answered"),
        "hung-up-on-machine": ({"status": "hangup_on_voicemail"}, "voicemail"),
        "left-message": ({"status": "left_voicemail"}, "voicemail"),
        "end-reason": ({"end_call_reason": "voicemail_message_left"}, "voicemail"),
        "end-reason-short": ({"end_call_reason": "voicemail"}, "voicemail"),
        "busy": ({"status": "busy"}, "busy"),
        "no-answer": ({"status": "no-answer"}, "no_answer"),
        "failed": ({"status": "failed", "transcript": ""}, "failed"),
        "canceled": ({"status": "canceled", "transcript": ""}, "cancelled"),
        "not-human": ({"analysis": {"answered_by_human": False}}, "voicemail"),
        "human": ({"analysis": {"answered_by_human": True}}, "answered"),
        "failed-not-human": (
            {"status": "failed", "transcript": "", "analysis": {"answered_by_human": False}}, "failed",
        ),
    },
    "telnyx": {
        "talked": ({}, "answered"),
        "human": ({"detected": "call.machine.detection.ended", "result": "human"}, "answered"),
        "not-sure": ({"detected": "call.machine.detection.ended", "result": "not_sure"}, "answered"),
        "machine": ({"detected": "call.machine.detection.ended", "result": "machine"}, "voicemail"),
        "premium": ({"detected": "call.machine.premium.detection.ended", "result": "machine"}, "voicemail"),
        "fax": ({"detected": "call.machine.premium.detection.ended", "result": "fax_detected"}, "voicemail"),
        "residence": (
            {"detected": "call.machine.premium.detection.ended", "result": "human_residence"}, "answered",
        ),
        "busy": ({"hangup_cause": "user_busy"}, "busy"),
        "no-answer": ({"hangup_cause": "no_answer"}, "no_answer"),
        "timeout": ({"hangup_cause": "timeout"}, "no_answer"),
        "rejected": ({"hangup_cause": "call_rejected"}, "declined"),
        "not-found": ({"hangup_cause": "not_found"}, "failed"),
        "cancelled": ({"hangup_cause": "originator_cancel"}, "cancelled"),
    },
    "twilio": {
        "talked": ({}, "answered"),
        "human": ({"AnsweredBy": "human"}, "answered"),
        "not-known": ({"AnsweredBy": "unknown"}, "answered"),
        "machine": ({"AnsweredBy": "machine_end_beep"}, "voicemail"),
        "machine-start": ({"AnsweredBy": "machine_start"}, "voicemail"),
        "fax": ({"AnsweredBy": "fax"}, "voicemail"),
        "detected-later": ({"CallStatus": "alone", "AnsweredBy": "machine_end_silence"}, "voicemail"),
        "busy": ({"CallStatus": "busy", "CallDuration": "0"}, "busy"),
        "no-answer": ({"CallStatus": "no-answer", "CallDuration": "0"}, "no_answer"),
        "failed": ({"CallStatus": "failed", "CallDuration": "0"}, "failed"),
        "canceled": ({"CallStatus": "canceled", "CallDuration": "0"}, "cancelled"),
    },
    "ultravox": {
        "talked": ({}, "answered"),
        "unjoined": ({"endReason": "unjoined", "joined": None}, "no_answer"),
    },
    "atoms": {
        "talked": ({"callStatus": "completed"}, "answered"),
        "busy": ({"callStatus": "busy"}, "busy"),
        "no-answer": ({"callStatus": "no-answer"}, "no_answer"),
        "no_answer": ({"callStatus": "no_answer"}, "no_answer"),
        "seed-talked": ({}, "answered"),
        "seed-voicemail": ({"disposition": "voicemail"}, "voicemail"),
        "seed-no-answer": ({"disposition": "No Answer"}, "no_answer"),
        "seed-flag": ({"metrics": {"in_voicemail": True}}, "voicemail"),
        "seed-answered-by": ({"metrics": {"answered_by": "machine"}}, "voicemail"),
        "seed-person": ({"metrics": {"answered_by": "human", "in_voicemail": False}}, "answered"),
    },
    "generic": {
        "talked": ({}, "answered"),
        "person": ({"answered_by": "person"}, "answered"),
        "machine": ({"answered_by": "voicemail"}, "voicemail"),
        "status-busy": ({"status": "busy"}, "busy"),
        "status-no-answer": ({"status": "no_answer"}, "no_answer"),
        "status-voicemail": ({"status": "voicemail"}, "voicemail"),
        "end-reason": ({"end_reason": "reached voicemail"}, "voicemail"),
        "failed-after-talk": ({"status": "failed"}, "answered"),
        "failed": ({"status": "failed", "transcript": []}, "failed"),
        "no-word": ({"transcript": [{"role": "agent", "content": "Hello?"}]}, "abandoned"),
    },
}  # fmt: skip


def transferred_to_a_machine() -> list[Delivery]:
    """A customer who talked, and whose transfer, a later leg, reached a colleague's voicemail."""
    overrides = {"detected": "call.machine.detection.ended", "result": "machine", "leg": _OTHER_LEG}
    return _telnyx(_SESSION, overrides)


def named_by_analytics() -> list[Delivery]:
    """A voicemail of which the analytics name the resolution themselves."""
    return _atoms("named", {"disposition": "voicemail", "metrics": {"issue_resolved": False}})
