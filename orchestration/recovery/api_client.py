"""Asking a list API by dlt's `rest_api` source: paced, patient, and wary of what comes back.

Which calls exist (`list_source`), and what one says in full (`details`). Opens no warehouse; what is done with the
answers belongs to `listing.py` and `landing.py`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import dlt
import requests
from dlt.sources.helpers import requests as dlt_requests
from dlt.sources.rest_api import rest_api_source
from requests.adapters import HTTPAdapter

from orchestration.load.lines import repaired
from orchestration.recovery.config import KEY_PREFIX, URL_PREFIX, RecoverySettings
from orchestration.recovery.platform import Bounds, Platform

_LONGEST_PAUSE_SECONDS = 120
_TIMEOUT_SECONDS = 60


class RecoveryFailed(Exception):
    """A platform could not be asked to the end; the message says why, and what to do."""


class StrangeAnswer(Exception):
    """An answer that is not what the API is documented to give."""


class Paced(HTTPAdapter):
    """Lets only so many requests a second through, retries among them."""

    def __init__(self, per_second: float) -> None:
        super().__init__()
        self._pause = 1 / per_second
        self._next = 0.0

    def send(self, request: requests.PreparedRequest, *rest: Any, **options: Any) -> requests.Response:
        """Wait for the turn, then send."""
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._pause
        return super().send(request, *rest, **options)


def list_source(
    platform: Platform,
    settings: RecoverySettings,
    bounds: Bounds,
    row: Callable[[Any], dict[str, Any]],
    resource: dict[str, Any],
) -> Any:
    """The dlt source that lists calls; `row` makes the row of a call, with its `created_at` (UTC without zone).

    Open bounds go on from the newest call listed before, less the look-back, which dlt remembers.
    """
    incremental: dict[str, Any] = {
        "cursor_path": "created_at",
        "initial_value": _naive(bounds.since),
        "on_cursor_value_missing": "include",
        "convert": lambda moment: platform.moment(moment.replace(tzinfo=UTC)),
    }
    if bounds.is_open:
        incremental["lag"] = settings.recovery_look_back_hours * 3600
    else:
        incremental["end_value"] = _naive(bounds.until)
    endpoint = {
        **platform.listing(bounds.until),
        "data_selector": platform.selector,
        "incremental": incremental,
        "response_actions": [_expecting(platform, list)],
    }
    config: Any = {
        "client": _client(platform, settings),
        "resources": [{**resource, "endpoint": endpoint, "processing_steps": [{"map": row}]}],
    }
    return rest_api_source(config, name=f"listed_{platform.name}", max_table_nesting=0)


def details(
    platform: Platform, settings: RecoverySettings, call_ids: Iterable[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the API says of each call, with its id, one request each; nothing of those that it does not know any more.

    Raises RecoveryFailed when the API cannot be asked to the end.
    """

    @dlt.resource(name="missing", selected=False)
    def missing() -> Iterator[
        list[dict[str, str]]
    ]:  # by one, so that the next is asked for when this one is done
        for call_id in call_ids:
            yield [{"call_id": call_id, "quoted_id": quote(call_id, safe="")}]

    gone = {"status_code": 404, "action": "ignore"}
    endpoint = {
        **(platform.detail or {}),
        "paginator": "single_page",
        "response_actions": [gone, _expecting(platform, dict)],
    }
    config: Any = {
        "client": _client(platform, settings),
        "resources": [
            missing(),
            {"name": "details", "endpoint": endpoint, "include_from_parent": ["call_id"]},
        ],
    }
    source = rest_api_source(config, name=f"details_{platform.name}", max_table_nesting=0)
    with told_plainly(platform):
        for detail in source:
            call_id = detail.pop("_missing_call_id")
            yield call_id, detail


@contextmanager
def told_plainly(platform: Platform) -> Iterator[None]:
    """Turn what dlt and requests raise into RecoveryFailed, with the platform, the reason and what to do."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, requests.RequestException | StrangeAnswer):
                raise RecoveryFailed(_reason(platform, cause)) from error
            cause = cause.__cause__ or cause.__context__
        raise


def _client(platform: Platform, settings: RecoverySettings) -> dict[str, Any]:
    key = settings.key_of(platform.name)
    if key is None:
        raise RecoveryFailed(
            f"{platform.name}: no key for its API; set {KEY_PREFIX}{platform.name.upper()} (docs/recovery.md)"
        )
    session = dlt_requests.Client(
        request_timeout=_TIMEOUT_SECONDS,
        raise_for_status=False,
        request_max_attempts=settings.recovery_attempts,
        request_max_retry_delay=_LONGEST_PAUSE_SECONDS,
    ).session
    paced = Paced(settings.recovery_requests_per_second)
    session.mount("http://", paced)
    session.mount("https://", paced)
    address = settings.api_urls.get(platform.name, platform.api_url)
    return {"base_url": address, "auth": platform.auth(key), "session": session}


def _expecting(platform: Platform, kind: type) -> Callable[..., None]:
    """A look at each answer before dlt reads it: an answer without a list would pass for an empty one."""
    selector = platform.selector if kind is list else (platform.detail or {}).get("data_selector", "$")
    names = [] if selector == "$" else selector.split(".")

    def check(response: requests.Response, *_: Any, **__: Any) -> None:
        if not response.ok:
            return
        if b"\\u" in response.content:
            response._content = repaired(response.text).encode("utf-8", "replace")
        try:
            value = response.json()
        except ValueError as error:
            raise StrangeAnswer(f"{response.url} did not answer with JSON") from error
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, kind):
            what = "list" if kind is list else "object"
            raise StrangeAnswer(f"{response.url} answered without a {what} at {selector}")

    return check


def _reason(platform: Platform, error: BaseException) -> str:
    name, key = platform.name, f"{KEY_PREFIX}{platform.name.upper()}"
    if isinstance(error, StrangeAnswer):
        return f"{name}: {error}; look at {URL_PREFIX}{name.upper()}, or the API has changed"
    answer = getattr(error, "response", None)
    if answer is None:
        return f"{name}: its API cannot be reached ({type(error).__name__}); nothing is lost, try later"
    if answer.status_code in (401, 403):
        return f"{name}: the API refused the key ({answer.status_code}); look at {key}"
    status = f"{answer.url} answered {answer.status_code} {answer.reason}"
    return f"{name}: {status}; nothing is lost, try later"


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
