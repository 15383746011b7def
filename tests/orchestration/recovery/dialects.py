"""How each platform's list API asks and answers, and calls as it shows them. Field names are the vendors' own."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Any


class Dialect(ABC):
    header = "Authorization"
    credential = "Bearer {}"
    place: str
    only_in_detail: tuple[str, ...] = ()

    @abstractmethod
    def page_of(
        self, calls: list[dict[str, Any]], query: dict[str, str], body: dict[str, Any], page: int
    ) -> Any: ...

    @abstractmethod
    def call(self, number: int, at: datetime, seconds: int) -> dict[str, Any]:
        """A finished call in full, created at `at`."""

    @abstractmethod
    def id_of(self, call: dict[str, Any]) -> str: ...

    def detail_of(self, path: str) -> str | None:
        return path.removeprefix(self.place) if path.startswith(self.place) and self.place else None

    def detail(self, calls: list[dict[str, Any]], call_id: str) -> Any:
        return next((call for call in calls if self.id_of(call) == call_id), None)

    def short(self, call: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in call.items() if name not in self.only_in_detail}


class Atoms(Dialect):
    place = "/conversation/"
    only_in_detail = ("transcript", "variables", "events")

    def page_of(self, calls, query, body, page):  # type: ignore[no-untyped-def]
        within = (query["dateFrom"], query["dateTo"])
        inside = [call for call in calls if within[0] <= call.get("createdAt", within[0]) <= within[1]]
        inside.sort(key=lambda call: call.get("createdAt", ""), reverse=True)
        number, size = int(query.get("page", 1)), min(int(query["limit"]), page)
        pages = -(-len(inside) // size)
        logs = [self.short(call) for call in inside[(number - 1) * size : number * size]]
        told = {
            "total": len(inside),
            "page": number,
            "limit": size,
            "totalPages": pages,
            "hasMore": number < pages,
        }
        return {"success": True, "data": {"logs": logs, "pagination": told}}

    def detail(self, calls, call_id):  # type: ignore[no-untyped-def]
        found = super().detail(calls, call_id)
        return found and {
            "success": True,
            "data": {name: found[name] for name in found if name != "createdAt"},
        }

    def call(self, number, at, seconds):  # type: ignore[no-untyped-def]
        return {
            "_id": f"65f0c0ffee{number:014d}",
            "callId": f"CALL-{int(at.timestamp() * 1000)}-{number:06x}",
            "agentId": "60d0fe4f5311236168a109ca",
            "status": "completed",
            "type": "telephony_inbound",
            "duration": seconds,
            "from": f"+1415555{number:04d}",
            "to": "+14155559999",
            "recordingUrl": "https://example.invalid/recording.wav",
            "disconnectionReason": "user_hangup",
            "retryCount": 0,
            "createdAt": iso(at),
            "postCallAnalytics": {
                "summary": "The parcel did not come.",
                "dispositionMetrics": [
                    {"identifier": "satisfaction_score", "value": 1, "confidence": 0.9},
                    {"identifier": "issue_resolved", "value": False, "confidence": 0.9},
                ],
            },
            "transcript": [{"role": "user", "content": "Wo ist mein Paket? 📦", "timestamp": iso(at)}],
            "variables": {"customer_name": "Ada", "customer_email": f"ada{number}@example.com"},
            "events": [],
        }  # fmt: skip

    def id_of(self, call):  # type: ignore[no-untyped-def]
        return call["callId"]


class Retell(Dialect):
    place = "/v2/get-call/"
    only_in_detail = ("transcript", "transcript_object", "transcript_with_tool_calls", "recording_url")

    def page_of(self, calls, query, body, page):  # type: ignore[no-untyped-def]
        first, last = body["filter_criteria"]["start_timestamp"]["value"]
        inside = [call for call in calls if first <= call["start_timestamp"] <= last]
        inside.sort(key=lambda call: call["start_timestamp"])
        begin, size = int(body.get("pagination_key") or 0), min(body["limit"], page)
        more = begin + size < len(inside)
        found: dict[str, Any] = {
            "items": [self.short(call) for call in inside[begin : begin + size]],
            "has_more": more,
        }
        return {**found, "pagination_key": str(begin + size)} if more else found

    def call(self, number, at, seconds):  # type: ignore[no-untyped-def]
        begin = int(at.timestamp() * 1000)
        return {
            "call_id": f"call_{number:032x}",
            "call_type": "phone_call",
            "agent_id": "agent_1",
            "agent_version": 1,
            "call_status": "ended",
            "direction": "inbound",
            "from_number": f"+1415555{number:04d}",
            "to_number": "+14155559999",
            "start_timestamp": begin,
            "end_timestamp": begin + seconds * 1000,
            "duration_ms": seconds * 1000,
            "disconnection_reason": "user_hangup",
            "call_analysis": {"call_summary": "No parcel.", "call_successful": False, "user_sentiment": "Negative"},
            "transcript": "Agent: Hello\nUser: Where is it?",
            "transcript_object": [{"role": "user", "content": "Where is it?", "words": []}],
        }  # fmt: skip

    def id_of(self, call):  # type: ignore[no-untyped-def]
        return call["call_id"]


class Vapi(Dialect):
    place = "/call/"

    def page_of(self, calls, query, body, page):  # type: ignore[no-untyped-def]
        bounds = {"createdAtGe": "__ge__", "createdAtLe": "__le__", "createdAtLt": "__lt__"}
        inside = [
            call
            for call in calls
            if all(
                getattr(call["createdAt"], bounds[name])(value)
                for name, value in query.items()
                if name in bounds
            )
        ]
        inside.sort(key=lambda call: call["createdAt"], reverse=True)
        return inside[: int(query["limit"])]

    def call(self, number, at, seconds):  # type: ignore[no-untyped-def]
        return {
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "orgId": "org",
            "type": "inboundPhoneCall",
            "status": "ended",
            "endedReason": "customer-ended-call",
            "createdAt": iso(at),
            "updatedAt": iso(at + timedelta(seconds=seconds + 5)),
            "startedAt": iso(at),
            "endedAt": iso(at + timedelta(seconds=seconds)),
            "customer": {"number": f"+1415555{number:04d}"},
            "phoneNumber": {"number": "+14155559999"},
            "analysis": {"summary": "No parcel.", "successEvaluation": "false"},
            "artifact": {"transcript": "AI: Hello\nUser: Where is it?", "messages": []},
        }

    def id_of(self, call):  # type: ignore[no-untyped-def]
        return call["id"]


class ElevenLabs(Dialect):
    header, credential = "xi-api-key", "{}"
    place = "/v1/convai/conversations/"

    def page_of(self, calls, query, body, page):  # type: ignore[no-untyped-def]
        after, before = int(query["call_start_after_unix"]), int(query["call_start_before_unix"])
        inside = [call for call in calls if after < call["metadata"]["start_time_unix_secs"] < before]
        inside.sort(key=lambda call: -call["metadata"]["start_time_unix_secs"])
        begin, size = int(query.get("cursor", 0)), min(int(query["page_size"]), page)
        more = begin + size < len(inside)
        return {
            "conversations": [self.short(call) for call in inside[begin : begin + size]],
            "has_more": more,
            "next_cursor": str(begin + size) if more else None,
        }

    def short(self, call: dict[str, Any]) -> dict[str, Any]:
        metadata = call["metadata"]
        return {
            **{name: call[name] for name in ("agent_id", "conversation_id", "status")},
            "start_time_unix_secs": metadata["start_time_unix_secs"],
            "call_duration_secs": metadata["call_duration_secs"],
            "message_count": len(call["transcript"]),
            "call_successful": call["analysis"]["call_successful"],
        }

    def call(self, number, at, seconds):  # type: ignore[no-untyped-def]
        return {
            "agent_id": "agent_1",
            "conversation_id": f"conv_{number}",
            "status": "done",
            "transcript": [{"role": "user", "message": "Where is it?", "time_in_call_secs": 1}],
            "metadata": {
                "start_time_unix_secs": int(at.timestamp()),
                "call_duration_secs": seconds,
                "termination_reason": "end_call tool was called.",
                "phone_call": {
                    "direction": "inbound", "external_number": f"+1415555{number:04d}",
                    "agent_number": "+14155559999",
                },
            },
            "analysis": {"call_successful": "failure", "transcript_summary": "No parcel."},
            "conversation_initiation_client_data": {"dynamic_variables": {"customer_name": "Ada"}},
        }  # fmt: skip

    def id_of(self, call):  # type: ignore[no-untyped-def]
        return call["conversation_id"]


class Bland(Dialect):
    header, credential = "Authorization", "{}"
    place = "/v1/calls/"
    only_in_detail = (
        "transcripts",
        "concatenated_transcript",
        "variables",
        "summary",
        "analysis",
        "started_at",
    )

    def page_of(self, calls, query, body, page):  # type: ignore[no-untyped-def]
        inside = [
            call for call in calls if query["start_date"] <= call["created_at"][:10] <= query["end_date"]
        ]
        inside.sort(key=lambda call: call["created_at"], reverse=query.get("ascending") != "true")
        begin = int(query["from"])
        found = inside[begin : begin + int(query["limit"])]
        return {"count": len(found), "calls": [self.short(call) for call in found]}

    def call(self, number, at, seconds):  # type: ignore[no-untyped-def]
        return {
            "call_id": f"11111111-0000-4000-8000-{number:012d}",
            "c_id": f"11111111-0000-4000-8000-{number:012d}",
            "to": "+14155559999",
            "from": f"1415555{number:04d}",
            "inbound": True,
            "completed": True,
            "status": "completed",
            "queue_status": "complete",
            "answered_by": "human",
            "call_length": seconds / 60,
            "corrected_duration": str(seconds),
            "created_at": at.isoformat(),
            "started_at": at.isoformat(),
            "end_at": (at + timedelta(hours=1)).isoformat(),
            "summary": "No parcel.",
            "transcripts": [{"id": 1, "user": "user", "text": "Where is it?", "created_at": at.isoformat()}],
            "concatenated_transcript": "user: Where is it?",
            "variables": {"customer_name": "Ada"},
            "analysis": None,
        }

    def id_of(self, call):  # type: ignore[no-untyped-def]
        return call["call_id"]


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


DIALECTS: dict[str, Dialect] = {
    "atoms": Atoms(), "bland": Bland(), "elevenlabs": ElevenLabs(), "retell": Retell(), "vapi": Vapi(),
}  # fmt: skip
