"""What a fake says is what its vendor describes: requests and answers judged by the vendor's own OpenAPI files.

The files are cut to what the fakes answer (`cut_specs`). Not described in any of them, and so answered as the vendors'
references say but not judged: HubSpot's properties, pipelines, account and token, and SendGrid's scopes
(`Fake.undescribed` names them).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.paths.exceptions import PathNotFound
from openapi_core.templating.responses.exceptions import ResponseNotFound
from openapi_core.testing import MockRequest, MockResponse
from werkzeug.datastructures import ImmutableMultiDict

from tests.integrations.servers import Answer, Request, says

SPECS = Path(__file__).resolve().parents[2] / "specs"
HOST = "http://vendor"


@dataclass(frozen=True)
class Reply:
    """What a fake answers."""

    status: int
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Route = tuple[str, str, Callable[..., Reply]]


@dataclass
class Fake:
    """A vendor that keeps what it was sent; a subclass says how it answers."""

    complaints: list[str] = field(default_factory=list)
    specs: Sequence[str] = ()
    paths: str = ""
    """A pattern of the vendor's paths that may be asked; anything else that is asked is a complaint."""
    undescribed: str = r"\Z."
    """A pattern of paths that the vendor has, but not in these files."""

    def routes(self) -> Sequence[Route]:
        """Method, pattern of the path, and what answers: it is given the request and the pattern's groups."""
        raise NotImplementedError

    def is_known(self, request: Request) -> Reply | None:
        """None if the key is right, else what is said to it."""
        raise NotImplementedError

    def __call__(self, request: Request) -> Answer:
        reply = self.is_known(request) or self._reply(request)
        self.judge(request, reply)
        body = b"" if reply.value is None else reply.value
        return says(reply.status, body, dict(reply.headers))

    def _reply(self, request: Request) -> Reply:
        path = urlsplit(request.path).path
        for method, pattern, answer in self.routes():
            match = re.fullmatch(pattern, path)
            if match and method == request.method:
                return answer(request, *match.groups())
        self.complaints.append(f"{request.method} {path}: nobody answers that")
        return Reply(404, {})

    def judge(self, request: Request, reply: Reply) -> None:
        """Complain of what the vendor's files do not allow."""
        path = urlsplit(request.path).path
        if re.fullmatch(self.undescribed, path):
            return
        complaints = [judged(request, reply, *spec) for spec in self._descriptions()]
        if all(complaints):
            self.complaints.append(f"{request.method} {path}: {max(complaints, key=len)}")

    def _descriptions(self) -> list[tuple[str, str]]:
        return [(spec, self.paths) for spec in self.specs]


def judged(request: Request, reply: Reply, spec: str, paths: str) -> str:
    """What the description has against a request that was taken, and against its answer; empty if nothing."""
    description = _described(spec, paths)
    asked = _asked(request)
    body = json.dumps(reply.value).encode() if reply.value is not None else b""
    answer = MockResponse(body, status_code=reply.status, content_type="application/json")
    try:
        if reply.status < HTTPStatus.BAD_REQUEST:
            description.validate_request(asked)
        if reply.status != HTTPStatus.NO_CONTENT:
            description.validate_response(asked, answer)
    except ResponseNotFound:
        return "" if reply.status >= HTTPStatus.BAD_REQUEST else f"no answer {reply.status} is described"
    except PathNotFound:
        return "no such path"
    except OpenAPIError as error:
        causes = [getattr(one, "message", str(one)) for one in getattr(error.__cause__, "schema_errors", ())]
        return f"{error} {error.__cause__ or ''} {causes}"
    return ""


def _asked(request: Request) -> MockRequest:
    parts = urlsplit(request.path)
    return MockRequest(
        HOST,
        request.method.lower(),
        parts.path,
        args=ImmutableMultiDict(parse_qsl(parts.query)),
        headers=dict(request.headers),
        data=request.body or None,
        content_type=request.headers.get("content-type", "application/json"),
    )


@cache
def _described(spec: str, paths: str) -> OpenAPI:
    """A vendor's file, cut to some paths: looking for the one that was asked takes as long as there are paths.

    Who may ask is the fake's business.
    """
    # `*/*` says no more than JSON does here, and nothing is parsed by it.
    whole = json.loads((SPECS / spec).read_text().replace('"*/*"', '"application/json"'))
    whole["servers"] = [{"url": HOST}]
    whole["paths"] = {path: item for path, item in whole["paths"].items() if re.fullmatch(paths, path)}
    whole.pop("security", None)
    for item in whole["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation.pop("security", None)
    return OpenAPI.from_dict(whole, config=Config(spec_validator_cls=None))
