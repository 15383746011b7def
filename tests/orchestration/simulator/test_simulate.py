"""Simulated traffic: the same for the same seed, in time order, in the platform's own shapes."""

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from smallestai.atoms.types.webhook_event_analytics_completed import WebhookEventAnalyticsCompleted
from smallestai.atoms.types.webhook_event_post_conversation import WebhookEventPostConversation
from smallestai.atoms.types.webhook_event_pre_conversation import WebhookEventPreConversation

from orchestration.simulator import Delivery, simulate
from orchestration.simulator.language import TOPICS, languages

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
RESERVED = (
    re.compile(r"\+1\d{3}55501\d\d"),
    re.compile(r"\+447700900\d{3}"),
    re.compile(r"\+442079460\d{3}"),
    re.compile(r"\+4917139200\d\d"),
    re.compile(r"\+493023125\d{3}"),
)
WIRE_MODELS: dict[str, Any] = {
    "pre-conversation": WebhookEventPreConversation,
    "post-conversation": WebhookEventPostConversation,
    "analytics-completed": WebhookEventAnalyticsCompleted,
}
SCRIPTS = {
    "Latin": r"[A-Za-zÀ-ɏ]",
    "Arabic": r"[؀-ۿ]",
}


@cache
def morning() -> list[Delivery]:
    return list(simulate(2000, 11, START))


@cache
def events() -> list[dict[str, Any]]:
    return [json.loads(delivery.body) for delivery in morning()]


def kind_of(event: dict[str, Any]) -> str:
    seed = {"call.start": "start", "call.end": "end", "analytics.completed": "analytics"}
    wire = {"pre-conversation": "start", "post-conversation": "end", "analytics-completed": "analytics"}
    return wire[event["metadata"]["eventType"]] if "metadata" in event else seed[event["event"]]


def call_of(event: dict[str, Any]) -> str:
    return str(event["metadata"]["callId"] if "metadata" in event else event["call_id"])


def ends() -> list[dict[str, Any]]:
    ends = (event.get("metadata", event) for event in events() if kind_of(event) == "end")
    return list(ends)


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from datetime import *; from orchestration.simulator import simulate\n"
        "made = simulate(60, 5, datetime(2026, 11, 23, 8, tzinfo=UTC))\n"
        "print(hashlib.sha256(b''.join(d.body + str(d.at).encode() for d in made)).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": salt},
        ).stdout
        for salt in ("1", "2")
    }
    assert len(digests) == 1


def test_another_seed_gives_other_calls() -> None:
    first = {delivery.body for delivery in simulate(20, 1, START)}
    second = {delivery.body for delivery in simulate(20, 2, START)}
    assert not first & second


def test_deliveries_come_in_time_order_from_the_start_on_at_about_the_rate() -> None:
    made = morning()
    assert [delivery.at for delivery in made] == sorted(delivery.at for delivery in made)
    assert made[0].at >= START
    assert made[-1].at - START == pytest.approx(timedelta(seconds=1000), abs=timedelta(seconds=150))


def test_nothing_is_said_before_it_happened_nor_long_after() -> None:
    """An end is posted about when it happened, so that no age limit is ever in the way."""
    for delivery, event in zip(morning(), events(), strict=True):
        if kind_of(event) == "start":
            continue
        said = event["metadata"]["callData"]["endTime"] if "metadata" in event else event["timestamp"]
        age = delivery.at - datetime.fromisoformat(said)
        assert timedelta(0) <= age < timedelta(seconds=40)


def test_a_naive_start_and_a_rate_of_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        next(simulate(1, 1, datetime(2026, 11, 23)))  # noqa: DTZ001
    with pytest.raises(ValueError, match="rate"):
        next(simulate(1, 1, START, rate=0))


def test_the_wire_bodies_are_what_the_platforms_own_package_reads() -> None:
    for event in events():
        if "metadata" not in event:
            continue
        known = event
        if kind_of(event) != "start" and event["metadata"]["callData"]["callStatus"] != "completed":
            # the package wants an answer time and a recording even of a call that nobody answered
            data = event["metadata"] | {"recordingUrl": "https://example.com/x.wav"}
            data["callData"] = data["callData"] | {"answerTime": data["callData"]["endTime"]}
            known = event | {"metadata": data}
        model = WIRE_MODELS[event["metadata"]["eventType"]].model_validate(known)
        again = json.loads(model.model_dump_json(by_alias=True))
        assert again["metadata"]["callId"] == event["metadata"]["callId"]
        assert event["event"] == f"{event['metadata']['agentId']}.{event['metadata']['eventType']}"


def test_the_seed_bodies_have_the_documented_fields_and_no_others() -> None:
    common = {"event", "timestamp", "agent_id", "call_id"}
    fields = {
        "start": common | {"call_direction", "caller_phone", "agent_phone"},
        "end": common | {"duration_seconds", "disposition", "transcript", "variables"},
        "analytics": common | {"metrics"},
    }
    seeds = [event for event in events() if "metadata" not in event]
    assert {kind_of(event) for event in seeds} == set(fields)
    for event in seeds:
        assert set(event) == fields[kind_of(event)]


def test_every_number_and_address_belongs_to_nobody() -> None:
    text = b"\n".join(delivery.body for delivery in morning()).decode()
    numbers = {re.sub(r"[^+\d]", "", written) for written in re.findall(r'"(\+\d[\d ()-]+)"', text)}
    assert len(numbers) > 500
    ours = "+18005550199"
    assert not [
        number for number in numbers if number != ours and not any(r.fullmatch(number) for r in RESERVED)
    ]
    hosts = {address.split("@")[1] for address in re.findall(r"[\w.+-]+@[\w.-]+", text)}
    assert hosts == {"example.com", "example.org", "example.net"}


def test_some_seed_numbers_are_written_as_people_write_them() -> None:
    phones = [event["caller_phone"] for event in events() if event.get("event") == "call.start"]
    blanks = sum(not re.fullmatch(r"\+\d+", phone) for phone in phones)
    assert 0.01 < blanks / len(phones) < 0.10


def test_conversations_have_4_to_16_turns_in_both_scripts() -> None:
    spoken = [end["transcript"] for end in ends() if end["transcript"]]
    lengths = Counter(len(transcript) for transcript in spoken)
    assert min(lengths) == 4
    assert 14 <= max(lengths) <= 16
    everything = " ".join(turn["content"] for transcript in spoken for turn in transcript)
    assert {name for name, script in SCRIPTS.items() if re.search(script, everything)} == set(SCRIPTS)
    assert not re.search(r"[{}]", everything)
    for transcript in spoken:
        assert {turn["role"] for turn in transcript} == {"agent", "user"}
        times = [turn["timestamp"] for turn in transcript]
        assert times == sorted(times)


def test_every_language_is_spoken() -> None:
    spoken = {end["variables"].get("language") or end["variables"].get("default_language") for end in ends()}
    assert spoken == {language.code for language in languages()}
    assert {"en", "es", "ar"} <= spoken


def test_a_call_lasts_as_long_as_it_says_and_its_turns_lie_inside() -> None:
    for end in ends():
        if not end["transcript"]:
            continue
        data = end.get("callData")
        ended = datetime.fromisoformat(data["endTime"] if data else end["timestamp"])
        seconds = data["callDuration"] if data else end["duration_seconds"]
        assert 15 <= seconds < 300
        for turn in end["transcript"]:
            said = datetime.fromisoformat(turn["timestamp"])
            assert ended - timedelta(seconds=seconds) <= said <= ended


def test_duplicates_lateness_and_gaps_are_as_common_as_promised() -> None:
    bodies = Counter(delivery.body for delivery in morning())
    assert max(bodies.values()) == 2
    assert 0.04 < sum(count - 1 for count in bodies.values()) / len(bodies) < 0.06
    order: dict[str, list[str]] = defaultdict(list)
    for event in events():
        order[call_of(event)].append(kind_of(event))
    assert len(order) == 2000
    share = {kind: sum(kind not in kinds for kinds in order.values()) / 2000 for kind in ("start", "end")}
    assert 0.008 < share["start"] < 0.025
    assert 0.004 < share["end"] < 0.018
    backwards = sum(
        {"end", "analytics"} <= set(kinds) and kinds.index("analytics") < kinds.index("end")
        for kinds in order.values()
    )
    assert 0.01 < backwards / 2000 < 0.06


def test_outcomes_are_spread_as_in_a_contact_centre() -> None:
    seeds = [event for event in events() if event.get("event") == "analytics.completed"]
    scores = Counter(event["metrics"].get("satisfaction_score") for event in seeds)
    assert set(scores) == {1, 2, 3, 4, 5, None}
    assert scores[5] + scores[4] > scores[1] + scores[2] > scores[3] / 2
    resolved = sum(event["metrics"]["issue_resolved"] for event in seeds) / len(seeds)
    assert 0.72 < resolved < 0.84
    issues = Counter(end["variables"].get("issue_type") for end in ends())
    assert set(issues) == {*TOPICS, None}
    without = sum("customer_email" not in end["variables"] for end in ends()) / len(ends())
    assert 0.07 < without < 0.18
    assert {end["variables"].get("customer_tier") for end in ends()} == {"vip", None}
    statuses = {end["callData"]["callStatus"] for end in ends() if "callData" in end}
    assert statuses == {"completed", "no-answer", "no_answer", "busy"}
    share = sum("metadata" in event for event in events()) / len(events())
    assert 0.35 < share < 0.45


def test_an_end_never_claims_a_failure_that_its_analytics_deny() -> None:
    """Such an end would open a ticket or not, by whether a pass came between the two."""
    denied = {
        call_of(event)
        for event in events()
        if event.get("event") == "analytics.completed" and event["metrics"]["issue_resolved"]
    }
    said = {event["disposition"] for event in events() if "disposition" in event and call_of(event) in denied}
    assert said == {"successful", "resolved", "completed_goal", "Completed Goal"}
