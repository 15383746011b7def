"""The facts of calls that platforms, agents and speech recognition write in their own ways, by example.

Numbers are fictitious; how a number is read in every spelling and region is held by `test_phones`.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Event, Warehouse

    Land = Callable[[str, bytes, bool], Event]

NUMBER, ANOTHER, OURS = "+12025550121", "+12025550122", "+12025550100"
BEGAN = 1_793_606_400
"""2026-11-02 08:00:00 UTC, which the warehouse's events were received two hours after."""
SPOKEN = ("Hello, how can I help?", "My parcel never came.", "I am sorry to hear that.")


def iso(seconds: float, suffix: str = "Z") -> str:
    return datetime.fromtimestamp(BEGAN + seconds, UTC).isoformat().removesuffix("+00:00") + suffix


# Bodies of each platform, in the shape that its documents show.


def atoms(call_id: str, kind: str = "call.end", **fields: Any) -> dict[str, Any]:
    return {"event": kind, "timestamp": iso(30), "agent_id": "agent", "call_id": call_id, **fields}


def wire(call_id: str, kind: str = "post-conversation", **metadata: Any) -> dict[str, Any]:
    common = {
        "agentId": "agent",
        "eventType": kind,
        "callId": call_id,
        "conversationType": "telephonyInbound",
    }
    return {"id": f"d-{call_id}-{kind}", "event": f"agent.{kind}", "metadata": {**common, **metadata}}


def generic(call_id: str, **data: Any) -> dict[str, Any]:
    return {
        "type": "call.end",
        "timestamp": iso(60),
        "data": {"call_id": call_id, "direction": "inbound", **data},
    }


def vapi(call_id: str, **message: Any) -> dict[str, Any]:
    call = {"id": call_id, "type": "inboundPhoneCall"}
    times = {"startedAt": iso(0), "endedAt": iso(30)}
    return {"message": {"type": "end-of-call-report", "call": call, **times, **message}}


def retell(call_id: str, **call: Any) -> dict[str, Any]:
    times = {"start_timestamp": BEGAN * 1000, "end_timestamp": BEGAN * 1000 + 18_000}
    return {
        "event": "call_analyzed",
        "call": {"call_id": call_id, "call_type": "phone_call", "direction": "inbound", **times, **call},
    }


def elevenlabs(call_id: str, **data: Any) -> dict[str, Any]:
    metadata = {
        "start_time_unix_secs": BEGAN,
        "call_duration_secs": 30,
        "phone_call": {"direction": "inbound", "external_number": NUMBER, "agent_number": OURS},
    }
    return {
        "type": "post_call_transcription",
        "event_timestamp": BEGAN + 40,
        "data": {"conversation_id": call_id, "status": "done", "metadata": metadata, **data},
    }


def bland(call_id: str, **fields: Any) -> dict[str, Any]:
    times = {"created_at": iso(0), "started_at": iso(0), "call_length": 0.5}
    return {
        "call_id": call_id,
        "inbound": True,
        "to": OURS,
        "from": NUMBER,
        "completed": True,
        **times,
        **fields,
    }


def synthflow(call_id: str, lead: dict[str, Any] | None = None, **call: Any) -> dict[str, Any]:
    return {
        "status": "completed",
        "lead": {"name": "Ann Lee", "phone_number": NUMBER, **(lead or {})},
        "call": {"call_id": call_id, "status": "completed", "start_time": iso(0), "duration": 40, **call},
    }


def ultravox(call_id: str, **call: Any) -> dict[str, Any]:
    return {"event": "call.ended", "call": {"callId": call_id, "joined": iso(0), "ended": iso(30), **call}}


def telnyx(call_id: str, kind: str, leg: str, seconds: float, **payload: Any) -> dict[str, Any]:
    return {
        "data": {
            "event_type": kind,
            "id": f"{call_id}-{leg}-{kind}",
            "occurred_at": iso(seconds),
            "payload": {"call_session_id": call_id, "call_leg_id": leg, **payload},
        }
    }


def twilio(call_id: str, **fields: str) -> dict[str, str]:
    known = {
        "CallSid": call_id,
        "CallStatus": "completed",
        "CallDuration": "31",
        "To": OURS,
        "Direction": "inbound",
    }
    return {**known, "Timestamp": "Mon, 02 Nov 2026 08:00:31 +0000", "SequenceNumber": "1", **fields}


def livekit(call_id: str, kind: str, seconds: int, person: dict[str, Any] | None = None) -> dict[str, Any]:
    body = {
        "event": kind,
        "id": f"EV_{call_id}_{kind}_{seconds}",
        "createdAt": str(BEGAN + seconds),
        "room": {"sid": call_id, "creationTime": str(BEGAN)},
    }
    return {**body, "participant": person} if person else body


def person(sid: str, joined: int, phone: str = "", rule: str = "SDR_1", **fields: Any) -> dict[str, Any]:
    line = {"sip.callID": sid, "sip.phoneNumber": phone, "sip.trunkPhoneNumber": OURS, "sip.ruleID": rule}
    attributes = line if phone else {}
    return {
        "sid": sid,
        "identity": f"id-{sid}",
        "kind": "SIP" if phone else "STANDARD",
        "joinedAt": str(BEGAN + joined),
        "attributes": {**attributes, **fields},
    }


BODIES: list[tuple[str, Any]] = []


def case(source: str, *bodies: Any) -> None:
    BODIES.extend((source, body) for body in bodies)


# Phones: every platform's field, with what should not be there.
MESSY = "\u202d+1 (202)\u202f555\u20110121\u202c x89"
case("atoms", atoms("phone-atoms", "call.start", call_direction="inbound", caller_phone=MESSY))
case("atoms", wire("phone-wire", "pre-conversation", fromPhone=MESSY, toPhone=OURS))
case("atoms", atoms("phone-variable", variables={"user_number": MESSY}))
case("generic", generic("phone-generic", customer_phone=MESSY))
case("generic", generic("phone-float", customer_phone=12025550121.0))
case("vapi", vapi("phone-vapi", customer={"number": MESSY}))
case("vapi", vapi("phone-vapi-sip", customer={"sipUri": f"sip:{NUMBER}@sip.example.com:5060;transport=tls"}))
case(
    "vapi",
    vapi("phone-vapi-both", customer={"number": "", "sipUri": f'"Ann" <sip:{NUMBER}@sip.example.com>'}),
)
case("retell", retell("phone-retell", from_number=MESSY, to_number=OURS))
case(
    "elevenlabs",
    elevenlabs("phone-eleven", metadata={"phone_call": {"direction": "inbound", "external_number": MESSY}}),
)
case("bland", bland("phone-bland", **{"from": "2025550121.0"}))
case("synthflow", synthflow("phone-synthflow", {"phone_number": MESSY}))
case(
    "ultravox",
    ultravox(
        "phone-ultravox",
        medium={"sip": {"incoming": {}}},
        requestContext={"ultravox": {"sip": {"caller_id": f"<sip:{NUMBER}@sip.example.com;user=phone>"}}},
    ),
)
case(
    "telnyx",
    telnyx(
        "phone-telnyx",
        "call.initiated",
        "leg",
        0,
        direction="incoming",
        **{"from": f"sip:{NUMBER}@sip.example.com", "to": OURS},
    ),
)
case("twilio", twilio("CA" + "1" * 32, From=f"sip:{NUMBER}@example.sip.twilio.com"))
case("livekit", livekit("phone-livekit", "participant_joined", 2, person("PA_1", 2, MESSY)))
PHONE_CALLS = [
    "phone-atoms", "phone-wire", "phone-variable", "phone-generic", "phone-float", "phone-vapi",
    "phone-vapi-sip", "phone-vapi-both",
    "phone-retell", "phone-eleven", "phone-bland", "phone-synthflow", "phone-ultravox", "phone-telnyx", "CA" + "1" * 32,
    "phone-livekit",
]  # fmt: skip

WITHHELD = [
    "+266696687",
    "7378742833",
    "+86282452253",
    "2562533",
    "8656696",
    "Anonymous",
    "restricted",
    "UNAVAILABLE",
    "n/a",
    "{{caller}}",
]
for number, withheld in enumerate(WITHHELD):
    case("generic", generic(f"withheld-generic-{number}", customer_phone=withheld))
    case("twilio", twilio("CA" + f"{number:032x}", From=withheld))
    case("retell", retell(f"withheld-retell-{number}", from_number=withheld, to_number=OURS))

# Legs: the caller loses the line and is back; a colleague is added and stays longer.
CALLER, BACK = (
    person("PA_1", 2, NUMBER, customer_name="Ann Lee"),
    person("PA_3", 610, NUMBER, customer_tier="vip"),
)
COLLEAGUE = person("PA_2", 300, ANOTHER, rule="", customer_name="Bob King")
AGENT = {"sid": "PA_A", "identity": "agent", "kind": "AGENT", "joinedAt": str(BEGAN)}
case("livekit",
    livekit("legs-back", "room_started", 0),
    livekit("legs-back", "participant_joined", 1, AGENT),
    livekit("legs-back", "participant_joined", 2, CALLER), livekit("legs-back", "participant_left", 602, CALLER),
    livekit("legs-back", "participant_joined", 610, BACK), livekit("legs-back", "participant_left", 630, BACK),
    livekit("legs-back", "room_finished", 700),
)  # fmt: skip
case("livekit",
    livekit("legs-added", "participant_left", 700, COLLEAGUE),  # in any order, the joining of the caller lost
    livekit("legs-added", "participant_joined", 300, COLLEAGUE),
    livekit("legs-added", "participant_left", 602, CALLER),
    livekit("legs-added", "room_finished", 760),
)  # fmt: skip
case("livekit",
    livekit("legs-web", "participant_joined", 2, person("PA_W", 2)),
    livekit("legs-web", "participant_joined", 300, COLLEAGUE), livekit("legs-web", "participant_left", 400, COLLEAGUE),
    livekit("legs-web", "participant_left", 500, person("PA_W", 2)),
)  # fmt: skip
case("livekit",
    livekit("legs-lost", "participant_joined", 2, CALLER),  # the leaving of the caller lost
    livekit("legs-lost", "participant_joined", 300, COLLEAGUE), livekit("legs-lost",
    "participant_left", 400, COLLEAGUE),
    livekit("legs-lost", "room_finished", 620),
)  # fmt: skip
IN, OUT = (
    {"direction": "incoming", "from": NUMBER, "to": OURS},
    {"direction": "outgoing", "from": OURS, "to": ANOTHER},
)
case("telnyx",
    telnyx("legs-telnyx", "call.initiated", "one", 0, **IN), telnyx("legs-telnyx", "call.answered", "one", 5, **IN),
    telnyx("legs-telnyx", "call.initiated", "two", 100, **OUT), telnyx("legs-telnyx", "call.answered",
    "two", 110, **OUT),
    telnyx("legs-telnyx", "call.hangup", "one", 200, hangup_cause="normal_clearing"),
    telnyx("legs-telnyx", "call.hangup", "two", 260, hangup_cause="normal_clearing"),
)  # fmt: skip
case("twilio", twilio("CA" + "c" * 32, From=NUMBER, CallDuration="300"))
case(
    "twilio",
    twilio("CA" + "d" * 32, From=OURS, To=ANOTHER, Direction="outbound-dial", ParentCallSid="CA" + "c" * 32),
)
LEGS = {
    "legs-back": (NUMBER, "inbound", 2, 628, "Ann Lee", "vip"),
    "legs-added": (NUMBER, "inbound", 2, 698, "Ann Lee", None),
    "legs-web": (None, None, 2, 498, None, None),
    "legs-lost": (NUMBER, "inbound", 2, 618, "Ann Lee", None),
    "legs-telnyx": (NUMBER, "inbound", 5, 255, None, None),
    "CA" + "c" * 32: (NUMBER, "inbound", -269, 300, None, None),
    "CA" + "d" * 32: (None, "outbound", 0, 31, None, None),
}

# Words that stand for nothing.
NOTHING = [
    "", "  ", "None", "NULL", "nil", "n/a", "N.A.", "NA", "unknown", "Unknown.", "(unknown)", "'none'",
    "Not Provided", "not_provided",
    "not-provided", "undefined", "NaN", "-", "—", "...", "?", "[]", "{}", "null\n", "{{customer_name}}",
    "{{ Customer Name }}",
    "{{first}} {{last}}", "${customer_name}", "{customer_name}", "<customer_name>", "[Customer Name]",
    "%name%", "{% name %}",
    "customer_name", "not available", "no name", "N/A - N/A",
]  # fmt: skip
for number, nothing in enumerate(NOTHING):
    variables = {
        "customer_name": nothing,
        "customer_email": nothing,
        "issue_type": nothing,
        "user_number": nothing,
        "summary": nothing,
    }
    case("generic", generic(
        f"nothing-{number:02}", agent_id=nothing, disposition=nothing, summary=nothing, customer_phone=nothing,
        variables=variables, metrics={"issue_type": nothing, "satisfaction_score": nothing},
    ))  # fmt: skip
MEANT = ["Nina None", "Na", "Nan", "Mr. Null Island", "Ann", "李", "Unknown Pleasures", "No", "O'Neil"]
for number, name in enumerate(MEANT):
    case("generic", generic(f"meant-{number}", variables={"customer_name": f" {name}\n", "issue_type": name}))
case("generic", generic("half-a-placeholder", variables={"customer_name": "Ann {{last_name}}"}))
# The word for nothing is the first of two spellings.
case(
    "generic",
    generic(
        "second-spelling",
        variables={
            "customer_name": "None",
            "caller_name": "Ann",
            "customer_email": "none",
            "email": "ann@example.com",
        },
    ),
)

EMAILS = {
    "ann.lee@example.com": "ann.lee@example.com",
    "Ann.Lee@Example.COM ": "ann.lee@example.com",
    "ann dot lee at example dot com": "ann.lee@example.com",
    "Ben Dot King At Example Dot Org": "ben.king@example.org",
    "ann dot lee at example dot co dot uk.": "ann.lee@example.co.uk",
    "ann underscore lee at sign example dot com": "ann_lee@example.com",
    "ann dash lee plus shop at my dash shop dot example": "ann-lee+shop@my-shop.example",
    "ann.lee at example.com": "ann.lee@example.com",
    "ann.lee@example dot com": "ann.lee@example.com",
    "ann [at] example [dot] com": "ann@example.com",
    "ann arroba example punto com": "ann@example.com",
    "mailto:ann@example.com": "ann@example.com",
    "<ann@example.com>": "ann@example.com",
    "Ann Lee <ann@example.com>": "ann@example.com",
    "ann@example.com.": "ann@example.com",
    "'ann@example.com',": "ann@example.com",
    "jörg@bücher.example": "jörg@bücher.example",
    "ann@example.com, ben@example.com": None,
    "he did not want to say": None,
    "ann.lee@": None,
    "@example.com": None,
    "ann@example": None,
    "ann..lee@example.com": None,
    ".ann@example.com": None,
    "ann lee at example dot com": None,
    "{{customer_email}}": None,
    "no": None,
    "ann@exa mple.com": None,
    "dot at dot": None,
    "a@" + "b" * 600 + ".com": None,
}
for number, sent in enumerate(EMAILS):
    case("generic", generic(f"email-{number:02}", variables={"customer_email": sent}))

# A transcript as one text.
LINES = "Agent: {}\nUser: {}\nAgent: {}\n".format(*SPOKEN)
case("atoms", atoms("text-seed", transcript=LINES))
case("atoms", wire("text-wire", transcript=LINES.replace("\n", "\r\n")))
case("vapi", vapi("text-vapi", artifact={"messages": [], "transcript": LINES.replace("Agent:", "AI:")}))
case("vapi", vapi("text-vapi-old", transcript=LINES.replace("Agent:", "AI:")))
case("retell", retell("text-retell", transcript=LINES, transcript_object=[]))
case("elevenlabs", elevenlabs("text-eleven", transcript=LINES))
case(
    "bland",
    bland(
        "text-bland",
        transcripts=[],
        concatenated_transcript=" assistant: {} \n user: {} \n assistant: {} ".format(*SPOKEN),
    ),
)
case("synthflow", synthflow("text-synthflow", transcript="\nbot: {}\nhuman: {}\nbot: {}".format(*SPOKEN)))
case("generic", generic("text-generic", transcript="BOT: {}\nHUMAN: {}\nBOT: {}".format(*SPOKEN)))
case(
    "generic",
    generic(
        "text-times", transcript="[00:01] Agent: {}\n(0:05) **User**: {}\n- Agent (00:09): {}".format(*SPOKEN)
    ),
)
case("generic", generic("text-line", transcript="Agent: {} User: {} Agent: {}".format(*SPOKEN)))
case(
    "generic",
    generic(
        "text-names",
        transcript=[
            {"speaker": "bot", "text": SPOKEN[0]},
            {"speaker": "human", "message": SPOKEN[1]},
            {"role": "ai", "content": SPOKEN[2]},
        ],
    ),
)
TEXTS = [
    "text-seed", "text-wire", "text-vapi", "text-vapi-old", "text-retell", "text-eleven", "text-bland",
    "text-synthflow", "text-generic",
    "text-times", "text-line", "text-names",
]  # fmt: skip
case(
    "generic",
    generic("text-nobody", transcript="The caller asked where the parcel was.", duration_seconds=60),
)
case("generic", generic("text-blank", transcript=" \n ", duration_seconds=60))
case(
    "vapi",
    vapi(
        "text-summed-up",
        artifact={"transcript": LINES},
        analysis={"summary": "A parcel was lost.", "structuredData": {"satisfaction_score": 1}},
    ),
)

# Times.
case(
    "generic",
    generic(
        "time-future", started_at="2027-01-01T00:00:00Z", ended_at="2099-01-01T00:00:00Z", duration_seconds=20
    ),
)
case("generic", generic("time-tomorrow", started_at="2026-11-03T09:00:00Z"))
case("generic", generic("time-backwards", started_at=iso(10), ended_at=iso(0), duration_seconds=20))
case("atoms",
    wire("time-backwards-later", "post-conversation",
         callData={"answerTime": iso(10), "endTime": iso(40), "callDuration": 30}),
    wire("time-backwards-later", "analytics-completed", callData={"endTime": iso(-100)}))  # fmt: skip
case("synthflow", synthflow("zone-offset", start_time=iso(0, "+00:00"), timezone="America/New_York"))
case("synthflow", synthflow("zone-winter", start_time=iso(-5 * 3600, ""), timezone="America/New_York"))
case("synthflow", synthflow("zone-summer", start_time="2026-07-02T04:00:00", timezone="america/new_york"))
case("synthflow", synthflow("zone-number", start_time=iso(2 * 3600, ""), timezone="UTC+2"))
case("synthflow", synthflow("zone-minutes", start_time=iso(-5.5 * 3600, "")[:16], timezone="-05:30"))
case("synthflow", synthflow("zone-unknown", start_time=iso(0, ""), timezone="Middle/Earth"))
case("generic", generic("zone-generic", started_at=iso(3600, ""), timezone="Europe/Berlin"))
case("bland", bland("zone-bland", started_at=iso(-8 * 3600, ""), timezone="America/Los_Angeles"))
ZONES = {
    "zone-offset": BEGAN, "zone-winter": BEGAN, "zone-summer": 1_782_979_200, "zone-number": BEGAN,
    "zone-minutes": BEGAN,
    "zone-unknown": BEGAN, "zone-generic": BEGAN, "zone-bland": BEGAN,
}  # fmt: skip

# Nothing on one side of a merge.
case("synthflow", synthflow("merge-null", {"prompt_variables": None}))
case("synthflow", synthflow("merge-name", {"name": None, "prompt_variables": {"customer_name": "Ann Lee"}}))
case(
    "synthflow", synthflow("merge-null-inside", {"prompt_variables": {"customer_name": None, "shop": "one"}})
)
case("synthflow", synthflow("merge-word", {"prompt_variables": {"customer_name": "{{customer_name}}"}}))
case(
    "vapi",
    vapi("merge-vapi", customer={"name": "Ann Lee"}, artifact={"variableValues": {"customer_name": ""}}),
)
case(
    "retell",
    retell(
        "merge-retell",
        retell_llm_dynamic_variables={"customer_name": "Ann Lee"},
        collected_dynamic_variables=None,
    ),
)
case("atoms", atoms("merge-events", variables={"customer_name": "Ann Lee"}), atoms(
    "merge-events", "analytics.completed", variables={"customer_name": "None"}, metrics={}))  # fmt: skip
MERGED = [
    "merge-null", "merge-name", "merge-null-inside", "merge-word", "merge-vapi", "merge-retell", "merge-events",
]  # fmt: skip

# ElevenLabs as its API answers: without `type`, or without the envelope.
TALK = {
    "transcript": [{"role": "agent", "message": SPOKEN[0]}, {"role": "user", "message": SPOKEN[1]}],
    "analysis": {"call_successful": "failure", "transcript_summary": "A parcel was lost."},
}
case("elevenlabs", elevenlabs("bare-whole", **TALK))
case(
    "elevenlabs",
    {"data": elevenlabs("bare-untyped", **TALK)["data"]},
    elevenlabs("bare-data", **TALK)["data"],
)


def events(land: "Land") -> Iterator["Event"]:
    for source, body in BODIES:
        is_form = source == "twilio"
        event = land(source, (urlencode(body) if is_form else json.dumps(body)).encode(), is_form)
        if source == "elevenlabs" and "type" not in body:
            data = body.get("data", body)
            event = type(event)(source, "analytics.completed", data["conversation_id"], body)
        yield event


@pytest.fixture(scope="module")
def built(built_warehouse: "Callable[[], Warehouse]", land: "Land") -> "Warehouse":
    """All bodies in one load and one pass."""
    warehouse = built_warehouse()
    warehouse.load(list(events(land)))
    warehouse.build_pass()
    return warehouse


def facts(warehouse: "Warehouse", columns: str, like: str) -> dict[str, Any]:
    """Columns of the calls whose id is like that, by call id; a tuple where there are several."""
    rows = warehouse.rows(
        f"select calls.call_id, {columns} from intermediate.int_calls_interpreted as calls "
        f"inner join intermediate.int_calls_merged as facts using (call_key) where calls.call_id like '{like}'"
    )
    return {
        row.pop("call_id"): next(iter(row.values())) if len(row) == 1 else tuple(row.values()) for row in rows
    }


def test_every_platforms_number_is_read(built: "Warehouse") -> None:
    phones = facts(built, "calls.customer_phone", "%")
    assert {call_id: phones[call_id] for call_id in PHONE_CALLS} == dict.fromkeys(PHONE_CALLS, NUMBER)


def test_a_withheld_number_is_nobodys(built: "Warehouse") -> None:
    assert facts(built, "calls.customer_phone", "withheld-%") == {
        f"withheld-{source}-{number}": None
        for source in ("generic", "retell")
        for number in range(len(WITHHELD))
    }
    twilio_calls = facts(built, "calls.customer_phone", "CA000000%")
    assert list(twilio_calls.values()) == [None] * len(WITHHELD)
    codes = "266696687|7378742833|86282452253|2562533|8656696"
    assert built.rows(f"select * from marts.customers where regexp_matches(customer_phone, '{codes}')") == []


def test_the_first_leg_speaks_and_all_legs_count(built: "Warehouse") -> None:
    columns = (
        "calls.customer_phone, calls.direction, cast(epoch(calls.started_at) as bigint) as began, "
        "calls.duration_seconds, calls.customer_name, calls.customer_tier"
    )
    calls = facts(built, columns, "%")
    facts_by_call = {call_id: calls[call_id] for call_id in LEGS}
    assert facts_by_call == {call_id: (*leg[:2], leg[2] + BEGAN, *leg[3:]) for call_id, leg in LEGS.items()}


def test_words_for_nothing_are_nothing(built: "Warehouse") -> None:
    columns = (
        "calls.agent_id, calls.disposition, calls.summary, calls.customer_phone, calls.customer_name, "
        "calls.customer_email, calls.issue_type"
    )
    wanted = (*[None] * 6, "general")
    assert facts(built, columns, "nothing-%") == {
        f"nothing-{number:02}": wanted for number in range(len(NOTHING))
    }


def test_words_that_mean_something_stay(built: "Warehouse") -> None:
    assert facts(built, "calls.customer_name", "meant-%") == {
        f"meant-{n}": name for n, name in enumerate(MEANT)
    }
    assert facts(built, "calls.customer_name", "half-%") == {"half-a-placeholder": "Ann"}
    second = facts(built, "calls.customer_name, calls.customer_email", "second-%")
    assert second == {"second-spelling": ("Ann", "ann@example.com")}


def test_an_address_counts_if_it_is_one(built: "Warehouse") -> None:
    facts_by_call = facts(built, "calls.customer_email", "email-%")
    assert {sent: facts_by_call[f"email-{number:02}"] for number, sent in enumerate(EMAILS)} == EMAILS


def test_an_address_as_it_was_sent_is_kept(built: "Warehouse") -> None:
    row = built.row(
        "select value_text from marts.call_variables inner join marts.calls using (call_key) "
        "where variable = 'customer_email' and value_text like 'he did%'"
    )
    assert row["value_text"] == "he did not want to say"


def test_a_transcript_as_one_text_has_turns_and_an_opening(built: "Warehouse") -> None:
    rows = built.rows(
        "select call_id, list((role, content) order by turn_number) as turns from marts.call_turns group by 1"
    )
    turns = {row["call_id"]: row["turns"] for row in rows}
    spoken = list(zip(("agent", "customer", "agent"), SPOKEN, strict=True))
    assert {call_id: turns.get(call_id) for call_id in TEXTS} == dict.fromkeys(TEXTS, spoken)
    summaries = facts(built, "calls.summary, calls.is_summary_written", "text-%")
    opening = "Agent: {} Customer: {} Agent: {}".format(*SPOKEN)
    assert {call_id: summaries[call_id] for call_id in TEXTS} == dict.fromkeys(TEXTS, (opening, False))
    assert summaries["text-blank"] == (None, False)
    assert summaries["text-nobody"] == ("The caller asked where the parcel was.", False)
    assert turns["text-nobody"] == [(None, "The caller asked where the parcel was.")]
    answered = built.rows(
        "select call_id from marts.calls where call_id like 'text-nob%' and answer_status = 'answered'"
    )
    assert answered == [{"call_id": "text-nobody"}]


def test_a_customers_mail_quotes_only_a_written_summary(built: "Warehouse") -> None:
    rows = built.rows(
        "select call_id, template, summary from sync.sync_emails where call_id like 'text-%' order by 1"
    )
    quoted = {row["call_id"]: row["summary"] for row in rows}
    assert quoted["text-summed-up"] == "A parcel was lost."
    tickets = built.rows("select call_id, description from sync.sync_tickets where call_id like 'bare-%'")
    assert len(tickets) == 3


def test_times_that_are_not_believed(built: "Warehouse") -> None:
    columns = "calls.started_at, epoch(calls.ended_at) as ended, calls.duration_seconds"
    facts_by_call = facts(built, columns, "time-%")
    # without times of its own, the call ended when its event says so
    assert facts_by_call["time-future"] == (
        datetime.fromtimestamp(BEGAN + 40, UTC).replace(tzinfo=None),
        BEGAN + 60,
        20,
    )
    assert facts_by_call["time-tomorrow"][0] == datetime(2026, 11, 3, 9)  # noqa: DTZ001 - plain UTC
    assert facts_by_call["time-backwards"][1:] == (BEGAN + 30, 20)
    assert facts_by_call["time-backwards-later"][1:] == (BEGAN + 40, 30)


def test_a_local_time_is_one_of_its_zone(built: "Warehouse") -> None:
    assert facts(built, "cast(epoch(calls.started_at) as bigint)", "zone-%") == ZONES


def test_nothing_on_one_side_keeps_the_other(built: "Warehouse") -> None:
    assert facts(built, "calls.customer_name", "merge-%") == dict.fromkeys(MERGED, "Ann Lee")


def test_a_conversation_without_its_envelope_is_the_same(built: "Warehouse") -> None:
    columns = (
        "calls.customer_phone, calls.direction, calls.summary, facts.turn_count, "
        "epoch(calls.ended_at), calls.has_analytics"
    )
    facts_by_call = facts(built, columns, "bare-%")
    wanted = (NUMBER, "inbound", "A parcel was lost.", 2, BEGAN + 30, True)
    assert facts_by_call == dict.fromkeys(["bare-whole", "bare-untyped", "bare-data"], wanted)
