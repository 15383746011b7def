"""The one route that takes events in: check, find the envelope, have it made durable, answer.

Who is believed belongs to `receiver.gate`, how a platform signs and speaks to `receiver.sources`, how bytes
become durable to `receiver.landing`, who waits for that to `receiver.bridge`.
"""

import time
from datetime import UTC, datetime
from functools import lru_cache

import orjson
from flask import Blueprint, Request, Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.http import parse_options_header

from receiver.body import BadBody, parse, without_mark
from receiver.config import ReceiverSettings
from receiver.envelope import line, seal
from receiver.exchange import ENVIRON_KEY, Exchange, request_id
from receiver.gate import gate
from receiver.landing import LandingStore, LandingUnavailable
from receiver.problems import Problem, landing_unavailable, too_large
from receiver.sources import SOURCES


def webhooks_blueprint(settings: ReceiverSettings, landing: LandingStore) -> Blueprint:
    """`POST /webhooks/<source>` over a landing store."""
    blueprint = Blueprint("webhooks", __name__)
    limit = settings.receiver_max_body_bytes
    gates = {name: gate(source, settings) for name, source in SOURCES.items()}

    @blueprint.post("/webhooks/<name>", provide_automatic_options=False)
    def webhook(name: str) -> Response:
        source = SOURCES.get(name)
        if source is None:
            raise Problem(404, f"no such source; known are {', '.join(sorted(SOURCES))}")
        served: Exchange | None = request.environ.get(ENVIRON_KEY)
        exchange = served or _exchange(request, limit)
        exchange.source = name
        headers = exchange.headers
        gates[name].admit(request.environ.get("REMOTE_ADDR", ""), headers)
        _refuse_other_types(headers.get("content-type", ""), headers.get("content-encoding", "identity"))
        gates[name].believe(headers, exchange.body, time.time())
        body = without_mark(exchange.body)
        try:
            parsed = parse(body)
        except BadBody as error:
            raise Problem(400, str(error)) from None
        envelope = seal(name, source.facts(parsed, headers), body, datetime.now(UTC))
        exchange.event_id, exchange.event_type = envelope.event_id, envelope.event_type
        exchange.line = line(envelope, body)
        if served is None:
            _append(landing, exchange.line)
        answer = {"status": "accepted", "event_id": envelope.event_id}
        return Response(orjson.dumps(answer), content_type="application/json")

    return blueprint


def _exchange(request: Request, limit: int) -> Exchange:
    """What the bridge would have read, under a server that is not the bridge."""
    headers = {key.lower(): value for key, value in request.headers}
    return Exchange(request_id(headers.get("x-request-id")), headers, _read(request, limit))


def _read(request: Request, limit: int) -> bytes:
    declared = request.content_length
    if declared is not None and declared > limit:
        raise too_large(limit)
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise too_large(limit) from None
    except (ClientDisconnected, OSError):
        raise Problem(400, "the body ended before its declared length") from None
    if len(body) > limit:
        raise too_large(limit)
    return body


def _append(landing: LandingStore, entry: bytes) -> None:
    try:
        landing.append(entry)
    except LandingUnavailable as error:
        raise landing_unavailable() from error


def _refuse_other_types(content_type: str, encoding: str) -> None:
    kind, charset = _kind(content_type)
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem(415, "send Content-Type: application/json")
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise Problem(415, "send the body in UTF-8")
    if encoding.lower() != "identity":
        raise Problem(415, "send the body without a Content-Encoding; compressed bodies are not accepted")


@lru_cache(maxsize=64)
def _kind(content_type: str) -> tuple[str, str]:
    """Media type and charset, in lower case."""
    kind, options = parse_options_header(content_type)
    return kind.lower(), options.get("charset", "utf-8").lower()
