"""CRM records: fields for a system, text for a person."""

import json
from datetime import date
from html.parser import HTMLParser

import pytest

from integrations.crm.rendering import record_of, render
from integrations.errors import Rejected
from integrations.outbox import DueAction
from integrations.rendering import instant
from tests.integrations.examples import NOW, contact, delivery, note, task


def content_of(action: DueAction) -> dict[str, object]:
    content: dict[str, object] = json.loads(render(delivery(action)).body)
    return content


def test_a_contact() -> None:
    content = content_of(contact(is_vip=True, last_call_at="2026-11-02T08:00:00Z", call_count=3))
    assert (content["record"], content["phone"], content["name"]) == ("contact", "+12025550143", "Ada")
    assert (content["is_vip"], content["call_count"]) == (True, 3)
    assert str(content["text"]).startswith(
        "Ada (VIP)\nPhone: +12025550143\nE-mail: ada@example.com\nCalls: 3, the last"
    )


def test_a_note() -> None:
    content = content_of(note(disposition="successful", agent_id="a1", started_at="2026-11-02T07:55:00Z"))
    assert render(delivery(note())).title == content["title"] == "Voice call - 5 min - successful"
    assert (content["duration_seconds"], content["disposition"], content["phone"]) == (
        300,
        "successful",
        "+12025550143",
    )
    assert "Booked." in str(content["text"])
    assert "Agent: a1" in str(content["text"])


def test_a_task() -> None:
    content = content_of(task(priority="high"))
    assert (content["subject"], content["due_date"], content["priority"]) == (
        "Call back",
        "2026-11-03",
        "high",
    )
    assert "Due: 2026-11-03" in str(content["text"])


@pytest.mark.parametrize("action", [contact(), note(), task()])
def test_little_known_and_hostile(action: DueAction) -> None:
    nothing = {name: None for name in action.payload if name != "phone"} | {"phone": action.payload["phone"]}
    assert content_of(DueAction(action.action_key, "crm", action.kind, None, None, nothing, NOW))["text"]
    hostile = dict.fromkeys(
        action.payload, "{{ 7*7 }} <script>\r\n\u0645\u0631\u062d\u0628\u0627 👋\x00\ud83d" * 9
    ) | {"phone": "+1"}
    content = content_of(DueAction(action.action_key, "crm", action.kind, None, None, hostile, NOW))
    assert "{{ 7*7 }} <script>" in str(content["text"])
    assert "\x00" not in json.dumps(content, ensure_ascii=False)


@pytest.mark.parametrize(("kind", "phone"), [("note", None), ("contact", " "), ("deal", "+1")])
def test_what_no_crm_can_keep_is_refused(kind: str, phone: str | None) -> None:
    with pytest.raises(Rejected):
        render(delivery(DueAction("k", "crm", kind, None, None, {"phone": phone}, NOW)))


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: object) -> None:
        assert not attributes
        self.seen.add(tag)


@pytest.mark.parametrize("action", [note(), task()])
def test_html_holds_no_tag_but_ours(action: DueAction) -> None:
    hostile = dict.fromkeys(action.payload, '<img src=x onerror="alert(1)">&amp;\n<b>{{ 7*7 }}') | {
        "phone": "+1"
    }
    shown = record_of(delivery(DueAction("k", "crm", action.kind, "<i>", "<u>", hostile, NOW))).html(60_000)
    assert _Tags(shown).seen <= {"p", "strong", "br", "ul", "li"}
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;&amp;amp;<br>" in shown
    assert "{{ 7*7 }}" in shown


@pytest.mark.parametrize("most", [2_000, 32_000])
def test_only_the_body_is_cut(most: int) -> None:
    rendered_record = record_of(delivery(note(body="<'&>\n" * 20_000)))
    for whole in (rendered_record.text(most), rendered_record.html(most)):
        assert most * 0.1 < len(whole) <= most
        assert "Voice call - 5 min - successful" in whole
        assert "Call: 1 (atoms)" in whole
        assert "…" in whole


def test_times_days_and_keys() -> None:
    rendered_record = record_of(delivery(task(due_date="2026-11-03", priority="urgent")))
    assert (rendered_record.due_on, rendered_record.priority, rendered_record.started_at) == (
        date(2026, 11, 3),
        "normal",
        NOW,
    )
    assert record_of(delivery(task(due_date="soon"))).due_on == NOW.date()
    of_other_zone = record_of(delivery(note(started_at="2026-11-02T08:55:00+01:00")))
    assert f"{of_other_zone.started_at:%H:%M %Z}" == "07:55 UTC"
    assert instant("2026-11-02T08:00:00Z") == instant("2026-11-02 08:00:00") == NOW
    long = DueAction("note:" + "x" * 300, "crm", "note", "atoms", "x" * 300, note().payload, NOW)
    assert len(record_of(delivery(long)).key) == 64


def test_what_is_no_address_is_left_out() -> None:
    assert record_of(delivery(contact(email="ada at example"))).email == ""
    assert record_of(delivery(contact(email="ada@example.com"))).email == "ada@example.com"


def test_own_values() -> None:
    rendered_record = record_of(
        delivery(contact(is_vip=True, call_count=3, last_call_at="2026-11-02T09:00:00+01:00"))
    )
    assert [rendered_record.own(name) for name in ("is_vip", "call_count", "last_call_at")] == [
        "true",
        "3",
        "2026-11-02T08:00:00Z",
    ]
    assert record_of(delivery(contact(last_call_at=None))).own("last_call_at") == ""
