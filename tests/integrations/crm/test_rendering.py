"""CRM records: fields for a system, text for a person."""

import json

import pytest

from integrations.crm.rendering import render
from integrations.errors import Refused
from integrations.outbox import DueAction
from tests.integrations.examples import NOW, contact, delivery, note, task


def told(action: DueAction) -> dict[str, object]:
    made: dict[str, object] = json.loads(render(delivery(action)).body)
    return made


def test_a_contact() -> None:
    made = told(contact(is_vip=True, last_call_at="2026-11-02T08:00:00Z", call_count=3))
    assert (made["record"], made["phone"], made["name"]) == ("contact", "+12025550143", "Ada")
    assert (made["is_vip"], made["call_count"]) == (True, 3)
    assert str(made["text"]).startswith(
        "Ada (VIP)\nPhone: +12025550143\nE-mail: ada@example.com\nCalls: 3, the last"
    )


def test_a_note() -> None:
    made = told(note(disposition="successful", agent_id="a1", started_at="2026-11-02T07:55:00Z"))
    assert render(delivery(note())).title == made["title"] == "Voice call - 5 min - successful"
    assert (made["duration_seconds"], made["disposition"], made["phone"]) == (
        300,
        "successful",
        "+12025550143",
    )
    assert "Booked." in str(made["text"])
    assert "Agent: a1" in str(made["text"])


def test_a_task() -> None:
    made = told(task(priority="high"))
    assert (made["subject"], made["due_date"], made["priority"]) == ("Call back", "2026-11-03", "high")
    assert "Due: 2026-11-03" in str(made["text"])


@pytest.mark.parametrize("action", [contact(), note(), task()])
def test_little_known_and_hostile(action: DueAction) -> None:
    nothing = {name: None for name in action.payload if name != "phone"} | {"phone": action.payload["phone"]}
    assert told(DueAction(action.action_key, "crm", action.kind, None, None, nothing, NOW))["text"]
    hostile = dict.fromkeys(
        action.payload, "{{ 7*7 }} <script>\r\n\u0645\u0631\u062d\u0628\u0627 👋\x00\ud83d" * 9
    ) | {"phone": "+1"}
    made = told(DueAction(action.action_key, "crm", action.kind, None, None, hostile, NOW))
    assert "{{ 7*7 }} <script>" in str(made["text"])
    assert "\x00" not in json.dumps(made, ensure_ascii=False)


@pytest.mark.parametrize(("kind", "phone"), [("note", None), ("contact", " "), ("deal", "+1")])
def test_what_no_crm_can_keep_is_refused(kind: str, phone: str | None) -> None:
    with pytest.raises(Refused):
        render(delivery(DueAction("k", "crm", kind, None, None, {"phone": phone}, NOW)))
