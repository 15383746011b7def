"""The one route that takes events in: check, find the envelope, make durable, answer.

How a platform signs and speaks belongs to `receiver.sources`, how bytes become durable to `receiver.landing`.
"""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from receiver.body import BadBody, parse, without_mark
from receiver.config import SECRET_PREFIX, ReceiverSettings
from receiver.envelope import line, seal
from receiver.landing import LandingStore, LandingUnavailable
from receiver.metrics import Metrics
from receiver.problems import Problem
from receiver.sources import SOURCES, Source

LOG = logging.getLogger("aftercall.receiver")


def webhooks_blueprint(settings: ReceiverSettings, landing: LandingStore, metrics: Metrics) -> Blueprint:
    """`POST /webhooks/<source>` over a landing store."""
    blueprint = Blueprint("webhooks", __name__)
    limit = settings.receiver_max_body_bytes

    @blueprint.post("/webhooks/<name>", provide_automatic_options=False)
    def webhook(name: str) -> Response:
        source = SOURCES.get(name)
        if source is None:
            raise Problem(404, f"no such source; known are {', '.join(sorted(SOURCES))}")
        g.source = source.name
        _refuse_other_types()
        raw = _read(limit)
        headers = {key.lower(): value for key, value in request.headers}
        _refuse_unsigned(source, headers, raw, settings)
        body = without_mark(raw)
        try:
            parsed = parse(body)
        except BadBody as error:
            raise Problem(400, str(error)) from None
        envelope = seal(source.name, source.facts(parsed, headers), body, datetime.now(UTC))
        g.event_id, g.event_type, g.size = envelope.event_id, envelope.event_type, len(raw)
        _land(landing, metrics, line(envelope, body))
        metrics.landed(source.name, envelope.event_type, len(raw))
        answer = {"status": "accepted", "event_id": envelope.event_id}
        return Response(orjson.dumps(answer), content_type="application/json")

    @blueprint.before_app_request
    def _begin() -> None:
        g.began = time.perf_counter()

    @blueprint.after_app_request
    def _account(response: Response) -> Response:
        if request.path.startswith("/webhooks/"):
            metrics.requests.labels(g.get("source", "unknown"), str(response.status_code)).inc()
            LOG.info("%s", _log_line(response.status_code))
        return response

    return blueprint


def _refuse_other_types() -> None:
    kind = request.mimetype
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem(415, "send Content-Type: application/json")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise Problem(415, "send the body in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "send the body without a Content-Encoding; compressed bodies are not accepted")


def _read(limit: int) -> bytes:
    """The whole body. A declared length over the limit is refused before a byte is read."""
    too_large = Problem(413, f"the body is larger than {limit} bytes (AFTERCALL_RECEIVER_MAX_BODY_BYTES)")
    declared = request.content_length
    if declared is not None and declared > limit:
        raise too_large
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise too_large from None
    except (ClientDisconnected, OSError):
        raise Problem(400, "the body ended before its declared length") from None
    if len(body) > limit:
        raise too_large
    if declared is not None and len(body) != declared:
        raise Problem(400, "the body ended before its declared length")
    return body


def _refuse_unsigned(
    source: Source, headers: Mapping[str, str], body: bytes, settings: ReceiverSettings
) -> None:
    secrets = settings.secrets_for(source.name)
    if secrets:
        if not source.verify(headers, body, secrets):
            raise Problem(401, "the signature is missing, or does not fit the body and the configured secret")
    elif not (settings.is_loopback or settings.receiver_allow_unsigned):
        name = f"{SECRET_PREFIX}{source.name.upper()}"
        raise Problem(
            401, f"no secret is set for this source: set {name}, or AFTERCALL_RECEIVER_ALLOW_UNSIGNED=1"
        )


def _land(landing: LandingStore, metrics: Metrics, entry: bytes) -> None:
    try:
        with metrics.append_seconds.time():
            landing.append(entry)
    except LandingUnavailable as error:
        LOG.error("landing store unavailable: %s", error)
        raise Problem(503, "the landing store cannot take the event now; send it again later") from error


def _log_line(status: int) -> str:
    """One JSON object a request.

    Ids and sizes only: phone numbers, names and texts must not reach the log.
    """
    fields = {
        "source": g.get("source", "unknown"),
        "status": status,
        "event_id": g.get("event_id"),
        "event_type": g.get("event_type"),
        "bytes": g.get("size"),
        "ms": round((time.perf_counter() - g.began) * 1000, 2),
    }
    return orjson.dumps(fields).decode()
