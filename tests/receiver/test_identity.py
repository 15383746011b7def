"""A repeat is the same event although its bytes differ, and what says something else of the call is another event."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from receiver.body import parse, parse_form
from receiver.envelope import Envelope, body_id, seal
from receiver.sources import SOURCES

BODIES = Path(__file__).parent / "sources" / "bodies"
NOW = datetime(2026, 11, 20, 10, 1, tzinfo=UTC)
CASES = Path(__file__).parents[3] / "shared" / "cases"


def sealed(source: str, value: Any) -> Envelope:
    """The envelope of a JSON value that a source posts."""
    body = json.dumps(value).encode()
    parsed = parse(body)
    return seal(source, SOURCES[source].facts(parsed, {}), body, NOW, parsed)


def recorded() -> Iterator[tuple[str, str, Any]]:
    for file in sorted(BODIES.glob("*/*.json")):
        yield file.parent.name, file.stem, json.loads(file.read_bytes())


RECORDED = list(recorded())


def tried_again(value: Any, number: int) -> Any:
    """The value as its platform sends it in another try: addresses signed anew, another order of keys."""
    if isinstance(value, dict):
        again = {name: tried_again(inner, number) for name, inner in reversed(value.items())}
        return again
    if isinstance(value, list):
        return [tried_again(inner, number) for inner in value]
    if isinstance(value, str) and value.startswith("https://"):
        return f"https://storage.example.com/{number}.wav?X-Amz-Date=2026112{number}&X-Amz-Signature={number * 11}"
    return value


@pytest.mark.parametrize(("source", "name", "body"), RECORDED, ids=[f"{s}-{n}" for s, n, _ in RECORDED])
def test_a_repeat_with_other_addresses_is_the_same_event(source: str, name: str, body: Any) -> None:
    has_own_id = SOURCES[source].facts(body, {}).event_id is not None
    body = with_addresses(body)
    first, second = sealed(source, tried_again(body, 1)), sealed(source, tried_again(body, 2))
    assert first == second
    assert has_own_id or first.event_id.startswith("sha256:")


def with_addresses(body: Any) -> Any:
    """The body with an address in every object, as a platform may add one anywhere."""
    if isinstance(body, dict):
        inner = {name: with_addresses(value) for name, value in body.items()}
        return inner | {"signed_url": "https://storage.example.com/a"}
    return [with_addresses(value) for value in body] if isinstance(body, list) else body


@pytest.mark.parametrize(("source", "name", "body"), RECORDED, ids=[f"{s}-{n}" for s, n, _ in RECORDED])
def test_another_call_is_another_event(source: str, name: str, body: Any) -> None:
    call_id = sealed(source, body).call_id
    if call_id is None or SOURCES[source].facts(body, {}).event_id is not None:
        return
    other = json.loads(json.dumps(body).replace(call_id, "another-call"))
    assert sealed(source, other).call_id == "another-call"
    assert sealed(source, other).event_id != sealed(source, body).event_id


def body_of(source: str, name: str) -> Any:
    return json.loads((BODIES / source / f"{name}.json").read_bytes())


def changed(body: Any, *path: Any, to: Any) -> Any:
    """A copy of the body with one value changed."""
    whole = copy.deepcopy(body)
    inner = whole
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return whole


CORRECTIONS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("retell", "call_analyzed", ("call", "call_analysis", "call_summary")),
    ("retell", "call_analyzed", ("call", "call_analysis", "custom_analysis_data")),
    ("elevenlabs", "post_call_transcription", ("data", "analysis", "transcript_summary")),
    ("vapi", "end-of-call-report", ("message", "analysis", "summary")),
    ("bland", "post-call", ("summary",)),
    ("bland", "post-call", ("analysis",)),
    ("synthflow", "post-call", ("analysis",)),
    ("atoms", "seed-analytics.completed", ("metrics",)),
]


@pytest.mark.parametrize(("source", "name", "path"), CORRECTIONS)
def test_a_corrected_analysis_is_an_event_of_its_own(source: str, name: str, path: tuple[Any, ...]) -> None:
    body = body_of(source, name)
    corrected = changed(body, *path, to={"corrected": True})
    assert sealed(source, corrected).call_id == sealed(source, body).call_id
    assert sealed(source, corrected).event_id != sealed(source, body).event_id
    first, second = (sealed(source, tried_again(with_addresses(corrected), number)) for number in (1, 2))
    assert first.event_id == second.event_id


OF_THE_TRY: list[tuple[str, str, tuple[Any, ...]]] = [
    ("vapi", "end-of-call-report", ("message", "timestamp")),
    ("vapi", "end-of-call-report", ("message", "artifact", "presignedUrlsExpiresAt")),
    ("vapi", "end-of-call-report", ("message", "cost")),
    ("retell", "call_ended", ("call", "recording_url")),
    ("retell", "call_started", ("call", "call_status")),
    ("retell", "call_analyzed", ("call", "public_log_url")),
    ("elevenlabs", "post_call_transcription", ("event_timestamp",)),
    ("bland", "post-call", ("recording_url",)),
    ("bland", "post-call", ("variables",)),
    ("synthflow", "post-call", ("call", "recording_url")),
    ("ultravox", "call.ended", ("call", "summary")),
    ("telnyx", "call.hangup", ("meta",)),
]


@pytest.mark.parametrize(("source", "name", "path"), OF_THE_TRY)
def test_what_belongs_to_a_try_makes_no_event(source: str, name: str, path: tuple[Any, ...]) -> None:
    body = body_of(source, name)
    again = changed(body, *path, to={"attempt": 2, "url": "https://example.com/2"})
    assert sealed(source, again).event_id == sealed(source, body).event_id


def test_statuses_of_a_call_are_events_of_their_own() -> None:
    ringing = body_of("vapi", "status-update-ringing")
    later = changed(ringing, "message", "timestamp", to=ringing["message"]["timestamp"] + 1)
    other = changed(ringing, "message", "status", to="forwarding")
    assert len({sealed("vapi", body).event_id for body in (ringing, later, other)}) == 3


def test_where_nothing_names_an_event_its_body_does_without_what_belongs_to_the_try() -> None:
    def one(**fields: Any) -> str:
        return sealed("vapi", {"message": {"type": "hang", **fields}}).event_id

    assert one(url="https://example.com/1", attempt=1) == one(attempt=2, url="https://example.com/2")
    assert one(url="https://example.com/1", n=1) != one(url="https://example.com/1", n=2)
    # with nothing of a try in it the body counts as it is
    plain = {"message": {"type": "hang"}}
    assert sealed("vapi", plain).event_id == body_id("vapi", json.dumps(plain).encode())


def test_twilios_callbacks_are_numbered() -> None:
    form = (BODIES / "twilio" / "completed.form").read_bytes()
    fields = dict(parse_qsl(form.decode(), keep_blank_values=True))

    def one(**others: str) -> str:
        value = parse_form(urlencode(fields | others).encode())
        return seal("twilio", SOURCES["twilio"].facts(value, {}), b"", NOW, value).event_id

    assert fields["SequenceNumber"]
    assert one() == one(RecordingUrl="https://example.com/2")
    assert len({one(), one(SequenceNumber="99"), one(CallSid="CA" + "e" * 32)}) == 3


def test_a_bare_conversation_of_elevenlabs_is_the_event_with_its_envelope() -> None:
    whole = body_of("elevenlabs", "post_call_transcription")
    for bare in ({"data": whole["data"]}, whole["data"]):
        facts, same = (SOURCES["elevenlabs"].facts(body, {}) for body in (bare, whole))
        assert (facts.event_type, facts.call_id, facts.customer_phone, facts.direction) == (
            "analytics.completed", same.call_id, same.customer_phone, same.direction
        )  # fmt: skip
        assert facts.occurred_at is not None
        assert sealed("elevenlabs", bare).event_id == sealed("elevenlabs", whole).event_id
    unfinished = whole["data"] | {"status": "in-progress"}
    assert SOURCES["elevenlabs"].facts(unfinished, {}).event_type is None


def documented(source: str) -> list[Any]:
    """The values of a source's documented bodies."""
    forms = [parse_form(path.read_bytes().strip()) for path in sorted((BODIES / source).glob("*.form"))]
    return forms + [body for name, _, body in RECORDED if name == source]


@pytest.mark.parametrize("source", SOURCES)
def test_ids_of_any_length_keep_their_digits(source: str) -> None:
    bodies = [body for body in documented(source) if SOURCES[source].facts(body, {}).call_id]
    assert bodies
    for number in (2**63, 2**64 - 1, 2**64, -(2**63) - 1, 98765432109876543210987, 10**200):
        for body in bodies:
            call_id = SOURCES[source].facts(body, {}).call_id
            sent = json.dumps(body).replace(json.dumps(call_id), str(number))
            assert sealed(source, json.loads(sent)).call_id == str(number)


def test_an_id_of_thousands_of_digits_becomes_a_digest() -> None:
    beyond = "1" + "0" * 5000
    body = b'{"event": "call.end", "call_id": %s}' % beyond.encode()
    facts = SOURCES["atoms"].facts(parse(body), {})
    assert facts.call_id == beyond
    assert (seal("atoms", facts, body, NOW).call_id or "").startswith("sha256:")


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000000Z"),
        ("2026-11-21T10:02:00Z", None),
        ("2099-01-01T00:00:00Z", None),
        ("2026-11-21T10:02:00+05:00", "2026-11-21T05:02:00.000000Z"),
        ("2016-01-01T00:00:00Z", "2016-01-01T00:00:00.000000Z"),
    ],
)  # fmt: skip
def test_a_time_more_than_a_day_after_it_came_is_not_believed(timestamp: str, expected: str | None) -> None:
    assert sealed("generic", {"type": "call.end", "timestamp": timestamp}).occurred_at == expected


@pytest.mark.parametrize(
    ("time", "zone", "expected"),
    [
        ("2026-11-20T05:00:00", "America/New_York", "2026-11-20T10:00:00.000000Z"),
        ("2026-07-20T06:00:00", "America/New_York", "2026-07-20T10:00:00.000000Z"),
        ("2026-11-20T05:00:00-05:00", "Europe/Berlin", "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20T10:00:00", None, "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20T10:00:00", "Nowhere/Land", "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20T10:00:00", "../../etc/passwd", "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20T10:00:00", ["x"], "2026-11-20T10:00:00.000000Z"),
    ],
)  # fmt: skip
def test_a_local_time_is_one_of_the_zone_that_stands_beside_it(time: str, zone: Any, expected: str) -> None:
    call = {"call_id": "c", "end_time": time, "timezone": zone}
    assert sealed("synthflow", {"call": call}).occurred_at == expected


@pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases")
def test_the_case_of_a_repeat_with_other_addresses() -> None:
    (file,) = CASES.glob("12-*/input.ndjson")
    first, second = (json.loads(line)["body"] for line in file.read_text().splitlines())
    assert first != second
    assert sealed("vapi", first) == sealed("vapi", second)
