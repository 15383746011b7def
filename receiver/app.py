"""The Flask application: webhooks, health, metrics, and nothing else on this port.

Assembles only. Running it under a server belongs to `receiver.serve`.
"""

import logging

import orjson
from flask import Blueprint, Flask, Response

from receiver.config import SECRET_PREFIX, ReceiverSettings, setting_name
from receiver.exposure import UnsignedFrom, unsigned_from
from receiver.http_errors import HttpError, register_error_handlers
from receiver.landing import LandingStore, LandingUnavailable, open_landing
from receiver.metrics import Metrics
from receiver.readiness import Readiness
from receiver.sources import SOURCES
from receiver.webhooks import webhooks_blueprint

LOG = logging.getLogger("aftercall.receiver")
READY_SECONDS = 2.0
_PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def create_app(
    settings: ReceiverSettings | None = None,
    landing: LandingStore | None = None,
    metrics: Metrics | None = None,
) -> Flask:
    """The receiver's WSGI application; settings and landing store default to those of the environment."""
    settings = settings or ReceiverSettings()
    landing = landing or open_landing(
        settings.home, settings.landing_segment_bytes, settings.landing_min_free_bytes
    )
    metrics = metrics or Metrics(landing.free_bytes)
    app = Flask("receiver", static_folder=None)
    # werkzeug cuts a chunked body at this length without an error; one byte more shows that it was too large
    app.config["MAX_CONTENT_LENGTH"] = settings.receiver_max_body_bytes + 1
    register_error_handlers(app)
    app.register_blueprint(webhooks_blueprint(settings, landing))
    app.register_blueprint(_operations(Readiness(landing, READY_SECONDS), metrics))
    _warn_of_unsigned_sources(settings)
    return app


def _operations(readiness: Readiness, metrics: Metrics) -> Blueprint:
    blueprint = Blueprint("operations", __name__)

    @blueprint.get("/healthz", provide_automatic_options=False)
    def healthz() -> Response:
        return _json({"status": "ok"})

    @blueprint.get("/readyz", provide_automatic_options=False)
    def readyz() -> Response:
        try:
            readiness.check()
        except LandingUnavailable as error:
            raise HttpError(503, f"the landing store is not ready: {error}") from error
        return _json({"status": "ready"})

    @blueprint.get("/metrics", provide_automatic_options=False)
    def prometheus() -> Response:
        return Response(metrics.text(), content_type=_PROMETHEUS_TEXT)

    return blueprint


def _json(content: dict[str, str]) -> Response:
    return Response(orjson.dumps(content), content_type="application/json")


def _warn_of_unsigned_sources(settings: ReceiverSettings) -> None:
    """Warn at start, so that no operator learns from a lost call that a source is refused or open to everybody."""
    for name in sorted(SOURCES):
        if settings.secrets_for(name) and SOURCES[name].takes_address and not settings.receiver_public_url:
            LOG.warning("source %s is refused (401) until AFTERCALL_RECEIVER_PUBLIC_URL is set", name)
        if settings.secrets_for(name):
            continue
        setting = f"{SECRET_PREFIX}{setting_name(name).upper()}"
        match unsigned_from(settings, name):
            case UnsignedFrom.ANYBODY:
                LOG.warning(
                    "ANYONE who reaches %s can send %s events: %s is not set",
                    settings.receiver_bind,
                    name,
                    setting,
                )
            case UnsignedFrom.NOBODY:
                LOG.warning("source %s is refused (401) until %s is set", name, setting)
            case UnsignedFrom.THIS_MACHINE:
                continue
