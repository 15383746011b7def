"""The voice agent in the documented bodies of every source."""

from pathlib import Path
from typing import Any

import pytest

from receiver.body import parse, parse_form
from receiver.sources import SOURCES

BODIES = Path(__file__).with_name("bodies")
AGENTS = {
    "atoms": {"6a1f03c2de"},
    "elevenlabs": {"agent_01k6voice"},
    "generic": {"front"},
    "retell": {"agent_51b0c7aa9d"},
    "synthflow": {"1d4f0c1e-7a61-4f0a-8a1b-000000000001"},
    "telnyx": {"assistant-4a1f"},
    "ultravox": {"9c1a77d2-6f0e-4a67-a0aa-0d6f52f1b7c3"},
    "vapi": {"a7d9c0de-0000-4000-8000-0000000000aa"},
}


def bodies(source: str) -> list[Any]:
    sent = [(path.suffix == ".form", path.read_bytes()) for path in sorted((BODIES / source).iterdir())]
    return [parse_form(body.strip()) if is_form else parse(body) for is_form, body in sent]


@pytest.mark.parametrize("source", AGENTS)
def test_the_agent_of_documented_bodies(source: str) -> None:
    assert {SOURCES[source].agent_of(body) for body in bodies(source)} - {None} == AGENTS[source]


@pytest.mark.parametrize("source", ["bland", "livekit", "twilio"])
def test_bodies_without_an_agent(source: str) -> None:
    assert {SOURCES[source].agent_of(body) for body in bodies(source)} == {None}


def test_what_is_no_text_or_blank_names_no_agent() -> None:
    bland, atoms = SOURCES["bland"], SOURCES["atoms"]
    assert bland.agent_of({"call_id": "c", "pathway_id": None, "persona_id": " p "}) == "p"
    assert bland.agent_of({"pathway_id": " ", "persona_id": "p" * 300}) == "p" * 255
    assert atoms.agent_of([1]) is atoms.agent_of({"agent_id": 7}) is atoms.agent_of(None) is None
