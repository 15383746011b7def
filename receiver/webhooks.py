"""The webhook route: authenticates, extracts the envelope, hands over the landing line, answers.

Authentication belongs to `receiver.auth`, a platform's signatures and fields to `receiver.sources`, durable writing to
`receiver.landing`, waiting for it to `receiver.bridge`.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Blueprint, Request, Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from receiver import probe_event
from receiver.auth import auth_policy
from receiver.body import FORM, BadBody, kind_of, parse, parse_form, without_mark
from receiver.config import ReceiverSettings
from receiver.envelope import line, seal
from receiver.http_errors import HttpError, landing_unavailable, too_large
from receiver.landing import LandingStore, LandingUnavailable
from receiver.repeats import event_key
from receiver.request_context import ENVIRON_KEY, RequestContext, request_id
from receiver.sources import SOURCES


def webhooks_blueprint(settings: ReceiverSettings, landing: LandingStore) -> Blueprint:
    """`POST /webhooks/<source>` with the given landing store."""
    blueprint = Blueprint("webhooks", __name__)
    limit = settings.receiver_max_body_bytes
    policies = {name: auth_policy(source, settings) for name, source in SOURCES.items()}

    @blueprint.post("/webhooks/<name>", provide_automatic_options=False)
    def webhook(name: str) -> Response:
        source = SOURCES.get(name)
        if source is None:
            raise HttpError(404, f"no such source; known are {', '.join(sorted(SOURCES))}")
        served: RequestContext | None = request.environ.get(ENVIRON_KEY)
        context = served or _context(request, limit)
        context.source = name
        headers = context.headers
        policies[name].check_network(request.environ.get("REMOTE_ADDR", ""), headers)
        is_form = _is_form(headers, source.takes_forms)
        policies[name].check_signature(
            headers, context.body, time.time(), request.environ.get("QUERY_STRING", "")
        )
        parsed, body = _read_as(is_form, context.body)
        facts = probe_event.facts(parsed) or source.facts(parsed, headers)
        envelope = seal(name, facts, body, datetime.now(UTC), parsed)
        context.event_id, context.event_type = envelope.event_id, envelope.event_type
        context.event_key = event_key(name, envelope.call_id, envelope.event_id)
        context.line = line(envelope, body)
        if served is None:
            _append(landing, context.line)
        answer = {"status": "accepted", "event_id": envelope.event_id}
        return Response(orjson.dumps(answer), content_type="application/json")

    return blueprint


def _context(request: Request, limit: int) -> RequestContext:
    """The context of a request under a server that provides none."""
    headers = {key.lower(): value for key, value in request.headers}
    return RequestContext(request_id(headers.get("x-request-id")), headers, _read(request, limit))


def _read(request: Request, limit: int) -> bytes:
    declared = request.content_length
    if declared is not None and declared > limit:
        raise too_large(limit)
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise too_large(limit) from None
    except (ClientDisconnected, OSError):
        raise HttpError(400, "the body ended before its declared length") from None
    if len(body) > limit:
        raise too_large(limit)
    return body


def _append(landing: LandingStore, entry: bytes) -> None:
    try:
        landing.append([entry])
    except LandingUnavailable as error:
        raise landing_unavailable() from error


def _is_form(headers: Mapping[str, str], takes_forms: bool) -> bool:
    """True if the body is declared as a form, False if as JSON. Raises HttpError (415) if as neither."""
    kind, charset = kind_of(headers.get("content-type", ""))
    is_form = takes_forms and kind == FORM
    if not is_form and kind != "application/json" and not _is_json_by_suffix(kind):
        also = f" or {FORM}" if takes_forms else ""
        raise HttpError(415, f"send Content-Type: application/json{also}")
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise HttpError(415, "send the body in UTF-8")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpError(415, "send the body without a Content-Encoding; compressed bodies are not accepted")
    return is_form


def _is_json_by_suffix(kind: str) -> bool:
    return kind.startswith("application/") and kind.endswith("+json")


def _read_as(is_form: bool, body: bytes) -> tuple[Any, bytes]:
    """The body's value, and the JSON to store for it. Raises HttpError (400)."""
    try:
        if is_form:
            value = parse_form(body)
            return value, orjson.dumps(value)
        body = without_mark(body)
        return parse(body), body
    except BadBody as error:
        raise HttpError(400, str(error)) from None
