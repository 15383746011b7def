"""The guard before Dagster's web server: a password or token, requests from its own pages only, no change by GET.

Dagster's own server checks nothing: any page in the operator's browser could start a mutation through an image, or read
answers under a name that points at 127.0.0.1. An ASGI application around another one; it does not know Dagster.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

from integrations.board.access import Access, NotAllowed, is_same_origin, without_token

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = "/server_info"
"""Open, and shows versions only: the board and `aftercall doctor` ask this path whether Dagster answers."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY_VIOLATION = 1008
_HEADERS = [("x-frame-options", "SAMEORIGIN"), ("cross-origin-resource-policy", "same-origin")]
_PLAIN = [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")]
_FOREIGN = "This request comes from a page of another site. Dagster takes requests of its own pages only."
_READ_ONLY = "A GET reads. Send a mutation by POST."


class Guard:
    """The guarded application; lifespan events pass through."""

    def __init__(self, app: App, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it: 401 without password or token, 403 from elsewhere, 405 for change by GET."""
        if scope["type"] == "lifespan" or _is_health(scope):
            await self._app(scope, receive, send)
            return
        headers, query = _headers(scope), scope["query_string"].decode("latin-1")
        try:
            user = self._access.user((scope.get("client") or ("",))[0], headers, query)
            _refuse_foreign(scope, headers)
            if scope.get("method") in _READING:
                _refuse_mutation(query)
        except NotAllowed as refused:
            await _refuse(scope, receive, send, refused)
            return
        cookie = self._access.cookie(user)
        if cookie and (place := without_token(scope.get("method", ""), headers, scope["path"], query)):
            await _answer(send, 303, [*cookie, ("location", place)], "")
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_encoded([*_HEADERS, *cookie])]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_health(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["path"] == HEALTH and scope["method"] in ("GET", "HEAD")


def _headers(scope: Scope) -> dict[str, str]:
    """A request's headers by lower-case name; several of one name are joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _refuse_foreign(scope: Scope, headers: dict[str, str]) -> None:
    """Raise NotAllowed for a request from a page of another site, except a link that a person follows."""
    if "origin" in headers and not is_same_origin(headers):
        raise NotAllowed(403, _FOREIGN)
    is_own = headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    is_link = scope.get("method") == "GET" and headers.get("sec-fetch-mode") == "navigate"
    is_in_frame = headers.get("sec-fetch-dest", "document") != "document"
    if not is_own and (not is_link or is_in_frame):
        raise NotAllowed(403, _FOREIGN)


def _refuse_mutation(query: str) -> None:
    """Raise NotAllowed for a GraphQL document with a mutation; Dagster itself refuses what is no GraphQL."""
    for document in (value for name, value in parse_qsl(query) if name == "query"):
        try:
            operations = parse(document, no_location=True).definitions
        except GraphQLError:
            continue
        except RecursionError:
            raise NotAllowed(405, _READ_ONLY) from None
        for operation in operations:
            if (
                isinstance(operation, OperationDefinitionNode)
                and operation.operation is OperationType.MUTATION
            ):
                raise NotAllowed(405, _READ_ONLY)


async def _refuse(scope: Scope, receive: Receive, send: Send, refused: NotAllowed) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})
        return
    allow = [("allow", "POST")] if refused.status == 405 else []
    await _answer(send, refused.status, [*refused.headers, *allow], f"{refused}\n")


async def _answer(send: Send, status: int, headers: Iterable[tuple[str, str]], text: str) -> None:
    content = text.encode()
    length = ("content-length", str(len(content)))
    everything = _encoded([*_PLAIN, *_HEADERS, length, *headers])
    await send({"type": "http.response.start", "status": status, "headers": everything})
    await send({"type": "http.response.body", "body": content})


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
