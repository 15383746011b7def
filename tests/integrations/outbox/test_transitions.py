"""The table of status changes: it is whole, it agrees with the docs, and it keeps a row consistent."""

import re
from pathlib import Path

import pytest

from integrations.outbox.schema import SENT, SKIPPED, STATUSES, actions
from integrations.outbox.transitions import CONTENT, Event, Rule, change, new_row
from tests.integrations.examples import NOW

ACTIONS_PAGE = Path(__file__).resolve().parents[3] / "docs" / "actions.md"
TABLE = {name: rule for name, rule in vars(Event).items() if isinstance(rule, Rule)}
ARROW = re.compile(r"^ +(\w+|\[\*\]) --> (\w+): ", re.M)


def test_every_rule_is_between_statuses_that_exist() -> None:
    assert len(TABLE) > 10
    for rule in TABLE.values():
        assert {*rule.before, rule.after or SENT} <= set(STATUSES)


def test_every_arrow_of_the_docs_is_a_change_of_the_table() -> None:
    arrows = ARROW.findall(ACTIONS_PAGE.read_text())
    changes = {(before, rule.after) for rule in TABLE.values() for before in rule.before}
    assert len(arrows) > 10
    assert {arrow for arrow in arrows if arrow[0] != "[*]"} <= changes


@pytest.mark.parametrize("name", [name for name, rule in TABLE.items() if rule.after not in (None, SKIPPED)])
def test_what_is_skipped_no_more_has_no_reason_left(name: str) -> None:
    rule = TABLE[name]
    assert SKIPPED not in rule.before or rule.values["skip_reason"] is None


def test_an_event_that_does_not_apply_changes_nothing() -> None:
    assert change(Event.FAIL, {"status": "dead"}, last_error="late") == {}
    assert change(Event.FAIL, {"status": "pending"}, last_error="so") == {
        "status": "retrying",
        "last_error": "so",
    }


def test_a_new_row_has_every_column_and_nothing_of_the_row_that_it_is_like() -> None:
    model = dict.fromkeys(actions.c.keys(), "old")
    row = new_row(
        model, change(Event.DUE), action_key="k~2", due_key="d~2", destination="north", now=NOW, number=7
    )
    assert row.keys() == set(actions.c.keys())
    assert {name for name, value in row.items() if value == "old"} == {"channel", "kind", *CONTENT}
