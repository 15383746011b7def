"""Salesforce's ids, lengths, texts and errors, as far as they can be read without asking it.

What is written into which field belongs to `salesforce`.
"""

import re
from typing import Any

import orjson

from integrations.crm.records import split
from integrations.rendering import fit

PREFIXES = {"003": "Contact", "00Q": "Lead", "00T": "Task"}
# Salesforce's object reference: "Task", "Contact", "Lead".
LONGEST_SUBJECT, LONGEST_TEXT = 255, 32_000
LONGEST_FIRST, LONGEST_LAST, LONGEST_EMAIL, LONGEST_COMPANY = 40, 80, 80, 255
# What a contact can do without, and how Salesforce's errors name it.
OPTIONAL = {
    "email": ("Email", "INVALID_EMAIL_ADDRESS"),
    "first name": ("FirstName", "First Name"),
    "last name": ("LastName", "Last Name"),
}


def cut(name: str) -> tuple[str, str]:
    """First and last name, each as long as Salesforce takes it; one alone is the last, and the first of the two."""
    first, last = split(name)
    return (fit(first, LONGEST_FIRST), fit(last, LONGEST_LAST)) if last else (fit(first, LONGEST_LAST), "")


def duplicates(details: str) -> list[str]:
    """Ids of the contacts and leads that an answer with DUPLICATES_DETECTED names, each once."""
    try:
        errors = orjson.loads(details)
        ids = [
            str(match["record"]["Id"])
            for error in errors
            if error.get("errorCode") == "DUPLICATES_DETECTED"
            for result in error["duplicateResult"]["matchResults"]
            for match in result["matchRecords"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
    return [one for one in dict.fromkeys(ids) if one.isalnum() and one[:3] in ("003", "00Q")]


def object_of(identity: str) -> str:
    """What an id is of: its first three characters tell."""
    return PREFIXES.get(identity[:3], "Contact")


def as_text(value: Any) -> str:
    """A value as aftercall writes it: true and false in small letters, whole numbers without a point."""
    if isinstance(value, bool):
        return str(value).lower()
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return "" if whole is None else str(whole)


def sosl(text: str) -> str:
    """Text for SOSL, in which no character is an operator."""
    return re.sub(r"""([?&|!{}\[\]()^~*:\\"'+\-])""", r"\\\1", text)
