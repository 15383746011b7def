import base64

import pytest
from pydantic import SecretStr, ValidationError

from integrations.board.access import Access, NotAllowed, NotSafe, refuse_open
from integrations.board.config import BoardSettings

LOCAL = {"host": "127.0.0.1:8081"}


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
def test_an_open_board_answers_to_this_machines_names(host: str) -> None:
    assert not Access(BoardSettings()).user("127.0.0.1", {"host": host}).is_known


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8081", "", "[", "127.0.0.1@evil.example"]
)
def test_an_open_board_answers_to_no_other_name(host: str) -> None:
    with pytest.raises(NotAllowed):
        Access(BoardSettings()).user("127.0.0.1", {"host": host})


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
    user = access.user("127.0.0.1", LOCAL)
    token = access.token(user)
    assert access.is_own(user, token, LOCAL | {"origin": "http://127.0.0.1:8081"})
    assert not access.is_own(user, token, LOCAL | {"origin": "http://evil.example"})
    assert not access.is_own(user, token, LOCAL | {"sec-fetch-site": "cross-site"})
    assert not access.is_own(user, "", LOCAL)
    assert not access.is_own(user, Access(BoardSettings()).token(user), LOCAL)


def test_a_zone_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValidationError, match="no time zone"):
        BoardSettings(board_time_zone="Mars/Base")
