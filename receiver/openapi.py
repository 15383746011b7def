"""Prints the receiver's OpenAPI 3.1 document, for tests and authors of clients: `python -m receiver.openapi`.

Generated from the sources and the documented answers, so a new source needs no entry. Not served: the public port
offers nothing to read.
"""

import sys
from http import HTTPStatus
from typing import Any

import orjson

from receiver.body import FORM
from receiver.sources import SOURCES, Source

ANSWERS = {
    400: "an empty body, one that is not JSON in UTF-8, nests too deep, or ended early",
    401: "not signed as the source requires",
    403: "the sender's network may not send to this source",
    408: "the body did not arrive in time",
    413: "the body is too large",
    415: "the body is not declared as JSON (or as a form, where one is taken) in UTF-8 without compression",
    503: "the event cannot be taken now; send it again later",
}
"""Every answer to a webhook except 200, with its cause; docs/receiver.md lists the cases."""

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_SECONDS = {"required": True, "schema": {"type": "integer", "minimum": 1}}
_SCHEMAS = {
    "Accepted": {
        "type": "object",
        "properties": {
            "status": {"const": "accepted"},
            "event_id": {"type": "string", "minLength": 1, "maxLength": 255},
        },
        "required": ["status", "event_id"],
        "additionalProperties": False,
    },
    "Status": {
        "type": "object",
        "properties": {"status": {"enum": ["ok", "ready"]}},
        "required": ["status"],
        "additionalProperties": False,
    },
    "Problem": {
        "description": "RFC 9457. `detail` says what to do, and quotes nothing of the body.",
        "type": "object",
        "properties": {
            "type": {"const": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "minLength": 1},
        },
        "required": ["type", "title", "status", "detail"],
        "additionalProperties": False,
    },
}


def openapi() -> dict[str, Any]:
    """The document as a JSON value. Every source accepts any JSON, so bodies have no closer schema."""
    paths: dict[str, Any] = {
        f"/webhooks/{source.name}": {"post": _webhook(source)} for source in SOURCES.values()
    }
    paths["/healthz"] = {"get": _operation("healthz", "Whether the process answers", _json("Status"))}
    paths["/readyz"] = {
        "get": _operation("readyz", "Whether an event could be taken now", _json("Status"), 503)
    }
    paths["/metrics"] = {"get": _operation("metrics", "Prometheus' text format", {"text/plain": {}})}
    return {
        "openapi": "3.1.0",
        "info": {"title": "aftercall receiver", "version": "1"},
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }


def _webhook(source: Source) -> dict[str, Any]:
    return {
        **_operation(source.name, f"An event of {source.name}", _json("Accepted"), *ANSWERS),
        "parameters": [
            {"name": header, "in": "header", "required": False, "schema": {"type": "string"}}
            for header in source.signature_headers
        ],
        "requestBody": {"required": True, "content": _accepted(source)},
    }


def _accepted(source: Source) -> dict[str, Any]:
    """The content types that a source accepts. A form is described as an object with any fields."""
    fields = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
    form = {FORM: {"schema": fields}} if source.takes_forms else {}
    return {"application/json": {"schema": True}, **form}


def _operation(identity: str, summary: str, content: dict[str, Any], *errors: int) -> dict[str, Any]:
    answers = {"200": {"description": "OK", "content": content}}
    for status in errors:
        answers[str(status)] = {
            "description": ANSWERS[status],
            "content": {"application/problem+json": {"schema": _PROBLEM}},
            **({"headers": {"Retry-After": _SECONDS}} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
        }
    return {"operationId": identity, "summary": summary, "responses": answers}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


if __name__ == "__main__":
    sys.stdout.write(orjson.dumps(openapi(), option=orjson.OPT_INDENT_2).decode() + "\n")
