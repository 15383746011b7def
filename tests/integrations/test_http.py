"""The shared HTTP client against a server that misbehaves in every way there is."""

import logging
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.errors import (
    DestinationUnavailable,
    Forbidden,
    RateLimited,
    Rejected,
    TransientError,
    Unreachable,
)
from integrations.http import Answer, HttpClient, checked_url, retry_after
from tests.integrations import servers
from tests.integrations.examples import NOW
from tests.integrations.servers import System, says

Make = Callable[..., HttpClient]


@pytest.fixture
def system() -> Iterator[System]:
    with servers.running() as started:
        yield started


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Make]:
    clients = []

    def make(url: str, **settings: Any) -> HttpClient:
        short: dict[str, Any] = {
            "http_connect_seconds": 5,
            "http_read_seconds": 1,
            "http_whole_seconds": 20,
        } | settings
        clients.append(
            HttpClient("Desk", IntegrationSettings(home=tmp_path, **short), url, setting="AFTERCALL_DESK_URL")
        )
        return clients[-1]

    yield make
    for one in clients:
        one.close()


def test_one_connection_serves_all_requests(system: System, client: Make) -> None:
    desk = client(system.url)
    for number in range(3):
        assert desk.request("POST", "/tickets", json={"number": number}).json() == {"ok": True}
    assert [request.json()["number"] for request in system.requests] == [0, 1, 2]
    assert len({request.client for request in system.requests}) == 1
    assert system.requests[0].headers["user-agent"].startswith("aftercall")


def test_no_path_gets_into_a_log(system: System, client: Make, caplog: pytest.LogCaptureFixture) -> None:
    def odd(handler: servers.Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header\r\n\r\n{}")

    # A header that cannot be read is told by `urllib3` with the whole URL, whatever the level.
    system.script += [says(200, {"ok": True}), odd]
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            desk = client(f"{system.url}/services/T0/B0/SECRETKEY")
            desk.request("POST", json={}, params={"token": "SECRETTOO"})
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("urllib3.")]
    assert any('"POST /… HTTP/1.1" 200' in line for line in messages)
    assert any("Failed to parse headers" in line for line in messages)
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected), (403, Forbidden), (404, Rejected), (408, Unreachable), (409, Rejected), (420, RateLimited),
        (422, Rejected), (423, TransientError), (425, Unreachable), (429, RateLimited),
        *((status, DestinationUnavailable) for status in (301, 302, 304, 307, 401, 407)),
        *((status, Unreachable) for status in (500, 501, 502, 503, 504, 505, 507, 508, *range(520, 531), 598, 599)),
    ],
)  # fmt: skip
def test_what_a_status_means(system: System, client: Make, status: int, kind: type[Exception]) -> None:
    body = {} if status == 304 else {"message": "no such queue"}
    system.script.append(says(status, body if body else b"", {"Location": "http://127.0.0.1:1/"}))
    with pytest.raises(kind, match=f"Desk answered {status}") as error:
        client(system.url).request("POST", json={})
    assert type(error.value) is kind
    assert "no such queue" in str(error.value) or not body
    assert len(system.requests) == 1
    if kind is DestinationUnavailable:
        assert "AFTERCALL_DESK_URL" in str(error.value)


@pytest.mark.parametrize(
    ("status", "may_be_done"),
    [(408, False), (425, False), (500, False), (502, True), (503, False), (504, True), (520, True), (521, False),
     (522, False), (524, True), (525, False), (530, False)],
)  # fmt: skip
def test_whether_an_error_of_the_system_leaves_open_what_was_done(
    system: System, client: Make, status: int, may_be_done: bool
) -> None:
    system.script.append(says(status, b"", {"Retry-After": "7"}))
    with pytest.raises(Unreachable) as error:
        client(system.url).request("POST", json={})
    assert (error.value.may_be_done, error.value.after) == (may_be_done, timedelta(seconds=7))


@pytest.mark.parametrize("status", [404, 405, 410])
def test_a_page_where_an_api_has_its_own_form_comes_from_a_stand_in(
    system: System, client: Make, status: int
) -> None:
    system.script += [servers.html(status), says(status, {"message": "no such ticket"})]
    with pytest.raises(Unreachable, match=f"Desk answered {status}: Oops"):
        client(system.url).request("POST", json={})
    with pytest.raises(Rejected) as error:
        client(system.url).request("POST", json={})
    assert error.value.details == '{"message": "no such ticket"}'


@pytest.mark.parametrize("status", [429, 503])
def test_how_long_it_asks_to_wait(system: System, client: Make, status: int) -> None:
    later = datetime.now(UTC) + timedelta(minutes=10)
    system.script += [
        says(status, b"", {"Retry-After": "7"}),
        says(status, b"", {"Retry-After": format_datetime(later, usegmt=True)}),
        says(status, b"", {"Retry-After": "soon"}),
        says(status),
    ]
    waits = []
    for _ in range(4):
        with pytest.raises(TransientError) as error:
            client(system.url).request("GET")
        waits.append(error.value.after)
    assert waits[0] == timedelta(seconds=7)
    assert waits[1] is not None
    assert timedelta(minutes=9) < waits[1] <= timedelta(minutes=10)
    assert waits[2:] == [None, None]


def test_an_error_that_passes_is_followed_by_success(system: System, client: Make) -> None:
    system.script.append(says(500, {"error": "try later"}))
    desk = client(system.url)
    with pytest.raises(TransientError, match="try later"):
        desk.request("POST", json={})
    assert desk.request("POST", json={}).status == 200


@pytest.mark.parametrize(
    ("misbehaves", "text"),
    [
        (servers.hang, "nothing was heard for 1 s"),
        (servers.reset, "the connection failed"),
        (servers.cut_off, "the connection failed"),
        (servers.endless, "more than 4 MiB"),
    ],
)
def test_an_answer_that_does_not_come(
    system: System, client: Make, misbehaves: servers.Answer, text: str
) -> None:
    system.script.append(misbehaves)
    desk = client(system.url)
    with pytest.raises(TransientError, match=text) as error:
        desk.request("POST", "/secret-path", json={})
    assert "secret-path" not in str(error.value)
    assert error.value.__cause__ is None
    assert len(system.requests) == 1
    assert desk.request("POST").status == 200


def test_headers_that_drip_for_ever_end_too(system: System, client: Make) -> None:
    system.script.append(servers.drip)
    with pytest.raises(TransientError, match=r"did not end its answer within 0\.6 s"):
        client(system.url, http_whole_seconds=0.6).request("GET")


@pytest.mark.parametrize(
    "answer",
    [servers.html(200), says(200, b'{"id": "12'), says(200, b""), says(200, b"[1]"), says(200, b"\xff\xfe")],
)
def test_a_success_that_is_not_what_was_promised(
    system: System, client: Make, answer: servers.Answer
) -> None:
    system.script.append(answer)
    with pytest.raises(Unreachable, match="Desk answered 200 without the JSON object it promises") as error:
        client(system.url).request("GET").json()
    assert error.value.may_be_done


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>a<b>c</p>", "a c"), ("<script>x<y</script >z", "z"), ("<STYLE>x</style><b>z", "z"),
        ("<script>x", ""), ("<style>a</script>b</style>c", "c"), ("a < b", "a < b"), ("&lt;p&gt;", "<p>"),
    ],
)  # fmt: skip
def test_the_text_of_a_page(page: str, text: str) -> None:
    assert Answer("Desk", 200, {"Content-Type": "text/html"}, page.encode()).words == text


def test_of_a_page_only_its_text_is_quoted(system: System, client: Make) -> None:
    system.script += [servers.html(500), says(400, b"x" * 100_000), says(400, b"a\x00b\r\nc\x1b[31m")]
    with pytest.raises(TransientError, match=r"^Desk answered 500: Oops Down & out$"):
        client(system.url).request("GET")
    with pytest.raises(Rejected) as error:
        client(system.url).request("GET")
    assert len(str(error.value)) < 400
    with pytest.raises(Rejected, match=r"^Desk answered 400: a b c \[31m$"):
        client(system.url).request("GET")


def test_nobody_listens(client: Make) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransientError, match=r"Desk: the connection failed \(Connection refused\)"):
        client(f"http://127.0.0.1:{port}/key-in-the-path").request("GET")


def test_a_name_that_does_not_exist(client: Make) -> None:
    with pytest.raises(TransientError, match="Desk: the connection failed") as error:
        client("http://desk.invalid/key-in-the-path").request("GET")
    assert "key-in-the-path" not in str(error.value)


@pytest.mark.parametrize("names", [["127.0.0.1"], ["desk.example"]])
def test_a_wrong_certificate_stops_the_channel_before_anything_is_sent(
    client: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: list[str]
) -> None:
    context, authority = servers.certified(*names)
    with servers.running(context) as secure:
        if names == ["desk.example"]:
            authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        with pytest.raises(
            DestinationUnavailable, match=r"certificate that is not to be trusted .*REQUESTS_CA_BUNDLE"
        ):
            client(secure.url).request("POST", json={"secret": 1})
        assert secure.requests == []


def test_a_ca_of_ones_own(client: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context, authority = servers.certified("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with servers.running(context) as secure:
        assert client(secure.url).request("GET").status == 200


def test_neither_netrc_nor_cookies_take_part(
    system: System, client: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    system.script.append(says(200, {}, {"Set-Cookie": "session=1"}))
    desk = client(system.url)
    desk.request("GET")
    desk.request("GET")
    assert all({"authorization", "cookie"}.isdisjoint(request.headers) for request in system.requests)


@pytest.mark.parametrize(
    "url", ["", "hooks.example.com/x", "ftp://h/x", "http://", "http://[::1", "https://h:99999/"]
)
def test_an_address_that_cannot_be_asked_names_its_setting(url: str) -> None:
    with pytest.raises(DestinationUnavailable, match="set AFTERCALL_DESK_URL"):
        checked_url(url, "AFTERCALL_DESK_URL")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0), ("120", 120), ("1.5", 1.5), ("-5", None), ("", None), (None, None), ("soon", None), ("٣", None),
        ("Mon, 02 Nov 2026 08:01:00 GMT", 60), ("Mon, 02 Nov 2026 07:00:00 GMT", 0), ("9" * 30, None),
    ],
)  # fmt: skip
def test_retry_after(value: str | None, seconds: float | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after(value, NOW) == expected
