"""Personal data stands in few, named columns, and every one of them is tagged `meta: {pii: true}`."""

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Warehouse

PERSONAL = {
    "raw": {"action_key", "call", "customer_phone", "last_error", "line", "payload"},
    "seeds": {"phone"},
    "staging": {
        "action_key", "customer_phone", "from_phone", "last_error", "metrics", "recording_url", "summary", "to_phone",
        "turns", "variables",
    },
    "intermediate": {
        "action_key", "contact_phone", "customer_email", "customer_name", "customer_phone", "from_phone", "metrics",
        "recording_url", "summary", "to_phone", "turns", "variables",
    },
    "marts": {
        "action_key", "content", "customer_email", "customer_name", "customer_phone", "last_error", "reasoning",
        "recording_url", "summary", "value_text",
    },
    "sync": {
        "action_key", "body", "customer", "customer_email", "customer_name", "customer_phone", "description", "email",
        "headline", "name", "phone", "subject", "summary", "title", "to_address",
    },
}  # fmt: skip
"""By schema. An action's key holds the number where the action is a contact; free text holds what people said."""
SUSPECT = re.compile(
    r"(phone|e?mail|name|address|summary|content|text|transcript|reason|reasoning|recording|recording_url|payload|title"
    r"|body|subject|headline|customer|error|turns|variables|metrics|line|description)$"
)
IMPERSONAL = {
    "agent_phone": "ours",
    "end_reason": "the platform's code",
    "email_consent_text": "yes or no, as sent",
    "asked_transfer_text": "yes or no, as sent",
    "measured_transfer_text": "yes or no, as sent",
    "follow_up_text": "yes or no, as sent",
    "issue_resolved_text": "yes or no, as sent",
    "satisfaction_text": "a score, as sent",
    "sentiment_text": "a word, as sent",
    "issue_type_text": "a category, as sent",
    "transfer_reason_text": "a category, as sent",
    "transfer_reason": "a category in snake case",
    "skip_reason": "of the project's own words",
    "reason": "why a line is no event, in the project's own words",
    "average_agent_turns": "a number",
    "average_customer_turns": "a number",
    "is_ended_by_error": "true or false",
    "is_error": "true or false",
    "headline": "the project's own words, with a placeholder where the customer stands",
}


@pytest.fixture(scope="module")
def columns(awkward: "Warehouse") -> list[tuple[str, str, str, dict[str, Any]]]:
    """Schema, table, name and what is said of every column of the project."""
    manifest = json.loads((awkward.target / "manifest.json").read_text(encoding="utf-8"))
    return [
        (node["schema"], node["name"], name, column)
        for node in (*manifest["nodes"].values(), *manifest["sources"].values())
        if node["resource_type"] in {"model", "source", "seed"}
        for name, column in node["columns"].items()
    ]


def test_these_columns_and_no_others_are_tagged(columns: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    tagged: dict[str, set[str]] = {}
    for schema, _, name, column in columns:
        if column["meta"].get("pii") is True:
            tagged.setdefault(schema, set()).add(name)
    assert tagged == PERSONAL


def test_a_name_means_the_same_in_every_table(columns: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    untagged = [
        f"{schema}.{table}.{name}"
        for schema, table, name, column in columns
        if name in PERSONAL[schema] and column["meta"].get("pii") is not True
    ]
    assert untagged == []


def test_whatever_sounds_personal_is_tagged_or_said_not_to_be(
    columns: list[tuple[str, str, str, dict[str, Any]]],
) -> None:
    suspects = {
        f"{schema}.{table}.{name}"
        for schema, table, name, column in columns
        if SUSPECT.search(name) and not column["meta"].get("pii") and name not in IMPERSONAL
    }
    assert suspects == set()
    assert IMPERSONAL.keys() <= {name for _, _, name, _ in columns}
