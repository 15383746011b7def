"""Error answers: every one is a problem document (RFC 9457) that says what was wrong and what to do."""

import logging
from http import HTTPStatus

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

LOG = logging.getLogger("aftercall.receiver")
RETRY_AFTER_SECONDS = 5


class Problem(Exception):
    """An answer that is not 200. `detail` must not quote the body."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def problem_response(status: int, detail: str) -> Response:
    """The problem document, with the header that its status calls for."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    response = Response(orjson.dumps(content), status, content_type="application/problem+json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Signature"
    return response


def register_problems(app: Flask) -> None:
    """Turn every error of the app, its own and Flask's, into a problem document."""

    @app.errorhandler(Problem)
    def _own(error: Problem) -> Response:
        return problem_response(error.status, error.detail)

    @app.errorhandler(HTTPException)
    def _flask(error: HTTPException) -> Response:
        detail = error.description or "the request was refused"
        response = problem_response(error.code or 500, detail)
        if error.code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = getattr(error, "valid_methods", None) or ()
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        LOG.error("unexpected error in %s", request.endpoint, exc_info=error)
        return problem_response(500, "unexpected error in the receiver; its log has the reason")
