"""The bytes of events in both dialects of Atoms, as in the platform's documents.

One function per dialect and event. What happened belongs to `calls.py`.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from orchestration.simulator.calls import Call
from orchestration.simulator.phones import as_people_write_it

WRITTEN_WITH_BLANKS = 0.04
"""Share of seed starts whose customer number is not in E.164."""

DIRECTION = {False: "inbound", True: "outbound"}


def event_bodies(call: Call, rng: random.Random) -> dict[str, bytes]:
    """The bodies of the events that leave the platform: `start`, `end`, `analytics`, in this order."""
    dialect = _WIRE if call.dialect == "wire" else _SEED
    sent = {"start": call.has_start, "end": call.has_end, "analytics": call.has_analytics}
    return {event: orjson.dumps(dialect[event](call, rng)) for event, is_sent in sent.items() if is_sent}


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a Z, as both dialects write it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seed_start(call: Call, rng: random.Random) -> dict[str, Any]:
    phone = call.customer.phone
    if rng.random() < WRITTEN_WITH_BLANKS:
        phone = as_people_write_it(phone, rng)
    return {
        "event": "call.start",
        "timestamp": stamp(call.started_at),
        "agent_id": f"agent_{call.agent.lower()}",
        "call_id": call.call_id,
        "call_direction": DIRECTION[call.is_outbound],
        "caller_phone": phone,
        "agent_phone": call.our_line,
    }


def _seed_end(call: Call, rng: random.Random) -> dict[str, Any]:
    return {
        "event": "call.end",
        "timestamp": stamp(call.ended_at),
        "agent_id": f"agent_{call.agent.lower()}",
        "call_id": call.call_id,
        "duration_seconds": call.duration_seconds,
        "disposition": call.end_disposition,
        "transcript": _transcript(call),
        "variables": _variables(call) | _user_number(call),
    }


def _seed_analytics(call: Call, rng: random.Random) -> dict[str, Any]:
    metrics = _findings(call)
    if rng.random() < 0.5:
        metrics["summary"] = summary(call)
    return {
        "event": "analytics.completed",
        "timestamp": stamp(call.analysed_at),
        "agent_id": f"agent_{call.agent.lower()}",
        "call_id": call.call_id,
        "metrics": metrics,
    }


def _wire(call: Call, kind: str, rest: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    metadata = {
        "agentId": f"agent-{call.agent.lower()}",
        "eventType": kind,
        "conversationType": "telephonyOutbound" if call.is_outbound else "telephonyInbound",
        "callId": call.call_id,
    }
    return {
        "url": "https://hooks.example.com/webhooks/atoms",
        "description": "aftercall",
        "event": f"{metadata['agentId']}.{kind}",
        "metadata": metadata | rest,
        "id": f"{rng.getrandbits(96):024x}",
    }


def _wire_start(call: Call, rng: random.Random) -> dict[str, Any]:
    calling, called = _numbers(call)
    return _wire(call, "pre-conversation", {"toPhone": called, "fromPhone": calling}, rng)


def _wire_end(call: Call, rng: random.Random) -> dict[str, Any]:
    recording = f"https://recordings.example.com/{call.call_id}.wav" if call.turns else None
    direction = {"callDirection": "telephony_outbound" if call.is_outbound else "telephony_inbound"}
    return _wire(
        call,
        "post-conversation",
        {
            "recordingUrl": recording,
            "callData": _line(call) | direction,
            "transcript": _transcript(call),
            "variables": _platform_variables(call) | _variables(call),
        },
        rng,
    )


def _wire_analytics(call: Call, rng: random.Random) -> dict[str, Any]:
    metrics = [_metric(identifier, value, rng) for identifier, value in _findings(call).items()]
    rated = [metric for metric in metrics if metric["identifier"] == "satisfaction_score"]
    others = [metric for metric in metrics if metric["identifier"] != "satisfaction_score"]
    analytics = {"summary": summary(call), "dispositionMetrics": others, "successMetrics": rated}
    return _wire(call, "analytics-completed", {"analytics": analytics, "callData": _line(call)}, rng)


_SEED = {"start": _seed_start, "end": _seed_end, "analytics": _seed_analytics}
_WIRE = {"start": _wire_start, "end": _wire_end, "analytics": _wire_analytics}


def summary(call: Call) -> str:
    """The summary by the platform's analysis, in English for every language."""
    outcome = "The issue was settled on the call" if call.is_resolved else "The issue is still open"
    if call.transfer_reported_by:
        outcome += " and the caller asked for a person"
    elif call.needs_follow_up:
        outcome += " and a follow-up was promised"
    return f"{call.customer.name} spoke with us about {call.issue_type or 'several things'}. {outcome}."


def _findings(call: Call) -> dict[str, Any]:
    metrics: dict[str, Any] = {"issue_resolved": call.is_resolved, "follow_up_needed": call.needs_follow_up}
    if call.satisfaction is not None:
        metrics["satisfaction_score"] = call.satisfaction
    if call.sentiment is not None:
        metrics["sentiment"] = call.sentiment
    if call.analytics_have_outcome:
        metrics["call_outcome"] = call.outcome
    if call.issue_type is not None:
        metrics["issue_category" if call.dialect == "wire" else "issue_type"] = call.issue_type
    if call.transfer_reported_by == "metric":
        metrics["transfer_requested"] = True
    return metrics


def _metric(identifier: str, value: object, rng: random.Random) -> dict[str, Any]:
    kind = "BOOLEAN" if isinstance(value, bool) else "INTEGER" if isinstance(value, int) else "STRING"
    return {
        "identifier": identifier,
        "value": value,
        "confidence": round(rng.uniform(0.62, 0.99), 2),
        "reasoning": "Judged from the whole transcript.",
        "dispositionMetricPrompt": identifier.replace("_", " ").capitalize() + "?",
        "dispositionMetricType": kind,
    }


def _numbers(call: Call) -> tuple[str, str]:
    """(calling, called)."""
    pair = (call.customer.phone, call.our_line)
    return (pair[1], pair[0]) if call.is_outbound else pair


def _line(call: Call) -> dict[str, Any]:
    calling, called = _numbers(call)
    return {
        "fromNumber": calling,
        "toNumber": called,
        "callDuration": call.duration_seconds if call.turns else 0.0,
        "callStatus": call.unanswered or "completed",
        "answerTime": stamp(call.started_at) if call.turns else None,
        "endTime": stamp(call.ended_at),
    }


def _transcript(call: Call) -> list[dict[str, str]]:
    return [
        {
            "role": turn.role,
            "content": turn.content,
            "timestamp": stamp(call.started_at + timedelta(seconds=turn.offset_seconds)),
        }
        for turn in call.turns
    ]


def _variables(call: Call) -> dict[str, Any]:
    variables: dict[str, Any] = {"customer_name": call.customer.name, "agent_name": call.agent}
    if call.issue_type is not None:
        variables["issue_type"] = call.issue_type
    if call.customer.email is not None:
        variables["customer_email"] = call.customer.email
    if call.customer.is_vip:
        variables["customer_tier"] = "vip"
    if call.transfer_reported_by == "variable":
        variables["transfer_requested"] = "true"
    return variables


def _user_number(call: Call) -> dict[str, str]:
    """A seed call without a start would otherwise have no phone at all."""
    return {"language": call.language.code} | ({} if call.has_start else {"user_number": call.customer.phone})


def _platform_variables(call: Call) -> dict[str, str]:
    """The variables that the wire dialect adds; all are strings."""
    return {
        "call_id": call.call_id,
        "user_number": call.customer.phone,
        "agent_number": call.our_line,
        "conversation_type": "telephonyOutbound" if call.is_outbound else "telephonyInbound",
        "default_language": call.language.code,
        "supported_languages": f"{call.language.code},en",
        "current_date": f"{call.started_at:%Y-%m-%d}",
        "current_day": f"{call.started_at:%A}",
        "current_time": f"{call.started_at:%H:%M}",
        "timezone": "UTC",
    }
