import base64
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from integrations.board.access import Access, NotAllowed, NotSafe, User, address, refuse_open, without_token
from integrations.board.config import BoardSettings
from integrations.board.home_token import NoToken, home_token, path_of

LOCAL = {"host": "127.0.0.1:8081"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every board of these tests has its state, and so its token, in a home of its own."""
    monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def token() -> str:
    return home_token(BoardSettings())


def bearer(value: str) -> dict[str, str]:
    return LOCAL | {"authorization": f"Bearer {value}"}


def cookie_of(access: Access, user: User) -> dict[str, str]:
    """The header that a browser sends once it was let in."""
    ((name, value),) = access.cookie(user)
    assert name == "set-cookie"
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(value.split("; "))
    return LOCAL | {"cookie": f"_xsrf=2|a,b|{{c; {value.partition(';')[0]}; other=1"}


def basic(name: str, password: str) -> dict[str, str]:
    return {
        "host": "board.example",
        "authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode(),
    }


@pytest.mark.parametrize("bind", ["0.0.0.0:8081", "[::]:8081", "192.0.2.1:8081", "board.example:8081"])
def test_beyond_loopback_it_refuses_to_listen_without_asking_who_is_there(bind: str) -> None:
    with pytest.raises(NotSafe, match="AFTERCALL_BOARD_PASSWORD"):
        refuse_open(BoardSettings(board_bind=bind))
    refuse_open(BoardSettings(board_bind=bind, board_password=SecretStr("x")))
    refuse_open(BoardSettings(board_bind=bind, board_user_header="X-Forwarded-User"))


@pytest.mark.parametrize("host", ["127.0.0.1:8081", "localhost:8081", "[::1]:8081"])
def test_without_a_password_the_token_opens_the_board_under_this_machines_names(host: str) -> None:
    user = Access(BoardSettings()).user("127.0.0.1", bearer(token()) | {"host": host})
    assert (user.is_known, user.is_new) == (False, True)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8081", "", "[", "127.0.0.1@evil.example"]
)
def test_without_a_password_no_other_name_opens_the_board(host: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        Access(BoardSettings()).user("127.0.0.1", bearer(token()) | {"host": host})
    assert refused.value.status == 403


def test_loopback_alone_opens_nothing() -> None:
    """What nginx hands on with `proxy_pass http://127.0.0.1:8081` looks like a request of this machine."""
    access = Access(BoardSettings())
    for headers, query in (
        (LOCAL, ""),
        (LOCAL, "token="),
        (LOCAL, f"token={token()[:-1]}"),
        (bearer(""), ""),
        (bearer("\xe9"), ""),
        (LOCAL | {"authorization": "Basic ///"}, ""),
        (LOCAL | {"cookie": "aftercall=.; aftercall-0123456789ab=."}, ""),
        (LOCAL | {"cookie": f"{access._cookie_name}=."}, ""),
        (LOCAL | {"cookie": f"{access._cookie_name}="}, ""),
    ):
        with pytest.raises(NotAllowed) as refused:
            access.user("127.0.0.1", headers, query)
        assert refused.value.status == 401
        assert token() not in str(refused.value)


def test_the_token_is_taken_from_the_address_from_headers_and_from_the_cookie_that_follows() -> None:
    access = Access(BoardSettings())
    basic_header = basic("anybody", token())["authorization"]
    for headers, query in (
        (LOCAL, f"day=2026-11-02&token={token()}"),
        (bearer(token()), ""),
        (LOCAL | {"authorization": f"token {token()}"}, ""),
        (LOCAL | {"authorization": basic_header}, ""),
    ):
        user = access.user("127.0.0.1", headers, query)
        again = access.user("127.0.0.1", cookie_of(access, user))
        assert (again.name, again.is_new, access.cookie(again)) == (user.name, False, [])
    assert token() not in str(cookie_of(access, user))
    # a restart lets the browser in, another home does not
    assert Access(BoardSettings()).user("127.0.0.1", cookie_of(access, user))
    path_of(BoardSettings()).unlink()
    with pytest.raises(NotAllowed):
        Access(BoardSettings()).user("127.0.0.1", cookie_of(access, user))


def test_the_token_lasts_as_long_as_the_home_and_only_its_owner_reads_it(home: Path) -> None:
    before = os.umask(0)
    try:
        first = token()
    finally:
        os.umask(before)
    path = path_of(BoardSettings())
    assert len(first) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert token() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short")
    assert len(token()) >= 32
    assert [entry.name for entry in home.iterdir()] == [path.name]


def test_processes_that_start_together_have_one_token() -> None:
    with multiprocessing.get_context("forkserver").Pool(8) as pool:
        tokens = pool.map(home_token, [BoardSettings()] * 32, chunksize=1)
    assert len(set(tokens)) == 1


def test_a_token_that_cannot_be_stored_is_reported_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoToken, match="access-token"):
        home_token(BoardSettings(home=tmp_path / "file"))


def test_the_address_carries_the_token_only_where_it_is_asked_for() -> None:
    assert address(BoardSettings()) == f"http://127.0.0.1:8081/?token={token()}"
    assert address(BoardSettings(board_password=SecretStr("x"))) == "http://127.0.0.1:8081"
    assert address(BoardSettings(board_user_header="X-User")) == "http://127.0.0.1:8081"


def test_a_browser_is_led_away_from_the_address_with_the_token_and_a_program_is_not() -> None:
    page = {"accept": "text/html,*/*"}
    assert (
        without_token("GET", page, "/numbers", "day=2026-11-02&token=x&a=%26")
        == "/numbers?day=2026-11-02&a=%26"
    )
    assert without_token("GET", page, "//evil.example/a b", "token=x") == "/evil.example/a%20b"
    assert without_token("GET", page, "/\\evil.example", "token=x") == "/evil.example"
    for method, headers, query in (("POST", page, "token=x"), ("GET", {}, "token=x"), ("GET", page, "day=1")):
        assert without_token(method, headers, "/", query) == ""


def test_the_password_lets_in_under_any_name_and_nothing_else_does() -> None:
    access = Access(BoardSettings(board_password=SecretStr("sésame")))
    assert access.user("192.0.2.1", basic("anna", "sésame")).name == "anna"
    for headers in (LOCAL, basic("anna", "wrong"), basic("anna", ""), {"authorization": "Basic ///"}):
        with pytest.raises(NotAllowed) as refused:
            access.user("127.0.0.1", headers)
        assert refused.value.status == 401


def test_the_users_name_is_believed_from_the_proxy_alone() -> None:
    settings = BoardSettings(board_user_header="X-Forwarded-User", trusted_proxies="192.0.2.7")
    access = Access(settings)
    assert access.user("192.0.2.7", {"x-forwarded-user": "anna"}).name == "anna"
    for peer, headers in (
        ("192.0.2.8", {"x-forwarded-user": "anna"}),
        ("192.0.2.7", {}),
        ("127.0.0.1", LOCAL),
    ):
        with pytest.raises(NotAllowed):
            access.user(peer, headers)


def test_a_form_of_another_site_is_refused_whatever_it_carries() -> None:
    access = Access(BoardSettings())
    user = access.user("127.0.0.1", bearer(token()))
    form = access.token(user)
    assert access.is_own(user, form, LOCAL | {"origin": "http://127.0.0.1:8081"})
    assert not access.is_own(user, form, LOCAL | {"origin": "http://evil.example"})
    assert not access.is_own(user, form, LOCAL | {"origin": "http://["})
    assert not access.is_own(user, form, LOCAL | {"sec-fetch-site": "cross-site"})
    assert not access.is_own(user, "", LOCAL)
    assert not access.is_own(user, Access(BoardSettings()).token(user), LOCAL)


def test_a_zone_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValidationError, match="no time zone"):
        BoardSettings(board_time_zone="Mars/Base")
