"""The judge of what goes to Teams: a JSON Schema of the parts of Adaptive Cards that aftercall may use, and no other.

No package registry has Microsoft's schema. This one is cut by hand from its documentation (Adaptive Cards 1.4:
AdaptiveCard, RichTextBlock, TextRun, Action.OpenUrl; Teams: "Create and send messages with incoming webhooks"). It is
stricter: no other property, and no element that reads Markdown (TextBlock, FactSet).
"""

from typing import Any

import orjson
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types of its own

LARGEST = 28 * 1024


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


SPACING = {"enum": ["default", "none", "small", "medium", "large", "extraLarge", "padding"]}
SPACING["enum"] += [name[0].upper() + name[1:] for name in SPACING["enum"]]
TEXT_RUN = _object(
    {"type": {"const": "TextRun"}, "text": {"type": "string", "minLength": 1}},
    {
        "weight": {"enum": ["Default", "Lighter", "Bolder"]},
        "size": {"enum": ["Default", "Small", "Medium", "Large", "ExtraLarge"]},
        "isSubtle": {"type": "boolean"},
    },
)
RICH_TEXT_BLOCK = _object(
    {"type": {"const": "RichTextBlock"}, "inlines": {"type": "array", "items": TEXT_RUN, "minItems": 1}},
    {"spacing": SPACING},
)
OPEN_URL = _object(
    {
        "type": {"const": "Action.OpenUrl"},
        "title": {"type": "string", "minLength": 1},
        "url": {"type": "string", "pattern": "^https?://[^\\s]+$"},
    }
)
CARD = _object(
    {
        "$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"},
        "type": {"const": "AdaptiveCard"},
        "version": {"const": "1.4"},
        "body": {"type": "array", "items": RICH_TEXT_BLOCK, "minItems": 1},
    },
    {"actions": {"type": "array", "items": OPEN_URL, "minItems": 1, "maxItems": 6}},
)
ATTACHMENT = _object(
    {
        "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
        "contentUrl": {"type": "null"},
        "content": CARD,
    }
)
MESSAGE = _object(
    {
        "type": {"const": "message"},
        "attachments": {"type": "array", "items": ATTACHMENT, "minItems": 1, "maxItems": 1},
    }
)


def complaints(body: bytes) -> list[str]:
    """What is wrong with a message to Teams."""
    wrong = [error.message for error in Draft202012Validator(MESSAGE).iter_errors(orjson.loads(body))]
    return wrong + ([f"{len(body)} bytes are too many"] if len(body) > LARGEST else [])


def texts(body: bytes) -> list[str]:
    """Every text of the card, in its order, the runs of a block joined."""
    card = orjson.loads(body)["attachments"][0]["content"]
    return ["".join(run["text"] for run in block["inlines"]) for block in card["body"]]
