"""Error answers: each is a problem document (RFC 9457) that says what was wrong and what to do."""

import logging
from http import HTTPStatus

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from receiver.request_context import ENVIRON_KEY

LOG = logging.getLogger("aftercall.receiver")
RETRY_AFTER_SECONDS = 5
UNEXPECTED = "unexpected error in the receiver; its log has the reason"
REASONS = {
    400: "body", 401: "signature", 403: "network", 404: "not_found", 405: "method", 408: "slow_body",
    413: "too_large", 415: "content_type", 503: "landing",
}  # fmt: skip
"""The reason of an error in one word, for metrics and log, where the error names none itself."""


class HttpError(Exception):
    """An answer that is not 200. `detail` must not quote the body; `reason` is one word from a closed list."""

    def __init__(self, status: int, detail: str, reason: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.reason = reason or REASONS.get(status, "error")


def too_large(limit: int) -> HttpError:
    """The answer to a body over the limit, in bytes."""
    return HttpError(413, f"the body is larger than {limit} bytes (AFTERCALL_RECEIVER_MAX_BODY_BYTES)")


def landing_unavailable() -> HttpError:
    """The answer while the landing store cannot write; the log has the reason."""
    return HttpError(503, "the landing store cannot take the event now; send it again later")


def busy() -> HttpError:
    """The answer while the queue is full."""
    return HttpError(503, "too many requests are waiting; send it again later", "queue")


def document(status: int, detail: str) -> tuple[list[tuple[str, str]], bytes]:
    """The headers and the body of a problem document."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    headers = [("content-type", "application/problem+json")]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("retry-after", str(RETRY_AFTER_SECONDS)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append(("www-authenticate", "Signature"))
    return headers, orjson.dumps(content)


def error_response(error: HttpError) -> Response:
    """Flask's response to an error. The request's context gets the reason."""
    context = request.environ.get(ENVIRON_KEY)
    if context is not None:
        context.reason = error.reason
    headers, body = document(error.status, error.detail)
    return Response(body, error.status, headers)


def register_error_handlers(app: Flask) -> None:
    """Make a problem document of every error of the app, its own and Flask's."""
    app.register_error_handler(HttpError, error_response)

    @app.errorhandler(HTTPException)
    def _flask(error: HTTPException) -> Response:
        response = error_response(
            HttpError(error.code or 500, error.description or "the request was refused")
        )
        if error.code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = getattr(error, "valid_methods", None) or ()
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        LOG.error("unexpected error in %s", request.endpoint, exc_info=error)
        return error_response(HttpError(500, UNEXPECTED))
