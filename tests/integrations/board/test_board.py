"""The board over a receiver that really runs, as a program would ask it."""

import re
import subprocess
from collections.abc import Generator

import duckdb
import pytest
import requests

from orchestration.tools import processes
from tests.conftest import ROOT, Installation, free_port
from tests.integrations.board.conftest import TOKEN, Board, Office, until


def shown(html: str) -> list[str]:
    """The calls of a part, by the keys of their rows."""
    return re.findall(r'data-key="([^"]+)"', html)


def streamed(board: Board) -> Generator[str, None, None]:
    with requests.get(f"{board.url}/stream", stream=True, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield from (line.decode() for line in answer.iter_lines())


def test_what_was_acknowledged_comes_over_the_stream(office: Office) -> None:
    lines = streamed(office.board)
    next(lines)
    office.start("streamed")
    assert any("atoms:streamed" in line for line in lines)
    lines.close()


def test_a_call_that_is_sent_twice_late_and_backwards_is_never_shown_twice(office: Office) -> None:
    for _ in range(3):
        office.start("twice")
    office.post("call.end", "backwards")
    office.start("backwards")
    office.post("analytics.completed", "backwards")
    until(lambda: "analysed:atoms:backwards" in shown(office.board.part("feed")), "the last event")
    assert shown(office.board.part("active")).count("atoms:twice") == 1
    assert "atoms:backwards" not in shown(office.board.part("active"))
    feed = shown(office.board.part("feed"))
    assert len(feed) == len(set(feed))


def test_no_page_shows_a_phone_number_nor_lets_in_anything_from_elsewhere(office: Office) -> None:
    office.start("masked", "+498912345678")
    until(lambda: "atoms:masked" in shown(office.board.part("active")), "the call")
    for path in ("/", "/numbers", "/actions", "/calls/atoms/masked", "/parts"):
        answer = requests.get(office.board.url + path, timeout=10)
        assert answer.ok
        assert "12345678" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "<script>" not in answer.text
        assert " style=" not in answer.text


def test_a_part_that_did_not_change_is_not_sent_again_to_who_polls(office: Office) -> None:
    first = requests.get(f"{office.board.url}/parts", timeout=5)
    again = requests.get(
        f"{office.board.url}/parts", timeout=5, headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code in (200, 304)
    assert (again.status_code == 304) == (again.headers["etag"] == first.headers["etag"])


@pytest.mark.parametrize(
    "path", ["/calls/atoms/none", "/actions/none", "/mail/none", "/numbers?day=x", "/%00"]
)
def test_what_does_not_exist_is_reported_in_the_boards_own_words(office: Office, path: str) -> None:
    answer = requests.get(office.board.url + path, timeout=10)
    assert answer.status_code == 404
    assert "Back to the calls" in answer.text


def test_another_name_for_this_machine_is_refused(office: Office) -> None:
    for path in ("/", "/stream", "/parts"):
        answer = requests.get(office.board.url + path, headers={"Host": "evil.example"}, timeout=10)
        assert answer.status_code == 403


def test_after_an_end_and_a_kill_the_same_is_shown(office: Office) -> None:
    board = office.board
    for number in range(30):
        office.start(f"call-{number}")
        if number % 3:
            office.post("call.end", f"call-{number}")
    until(lambda: "ended:atoms:call-29" in shown(board.part("feed")), "the last event")
    before = [board.part("active"), board.part("feed")]

    def starts_again() -> None:
        board.__enter__()
        until(lambda: [board.part("active"), board.part("feed")] == before, "the same as before")

    board.__exit__()
    starts_again()
    board.kill()
    starts_again()
    assert not list(office.installation.home.rglob("*.digest"))


def test_a_call_without_an_end_leaves_after_the_configured_time(office: Office) -> None:
    office.start("endless")
    settings = {"AFTERCALL_BOARD_NO_END_MINUTES": "0.001", "AFTERCALL_BOARD_MASK": "0"}
    with Board(office.installation, settings) as hasty:
        until(lambda: "No end received" in hasty.part("active"), "the call to leave")
        assert "atoms:endless" in shown(hasty.part("active").partition("No end received")[2])
        assert "atoms:endless" not in shown(hasty.part("active").partition("No end received")[0])
        assert "+1 202 555 0143" in hasty.part("active")


def test_it_does_not_listen_beyond_loopback_for_everybody(installation: Installation) -> None:
    ended = subprocess.run(
        processes.board_process(),
        cwd=ROOT,
        env=installation.environment(AFTERCALL_BOARD_BIND=f"0.0.0.0:{free_port()}"),
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert b"AFTERCALL_BOARD_PASSWORD" in ended.stderr


def test_only_who_has_the_password_or_is_named_by_the_proxy_sees_a_page_or_the_stream(
    installation: Installation,
) -> None:
    settings = {"AFTERCALL_BOARD_PASSWORD": "s3same", "AFTERCALL_BOARD_USER_HEADER": "X-Forwarded-User"}
    with Board(installation, settings) as board:
        for path in ("/", "/parts", "/stream", "/static/board.js"):
            assert requests.get(board.url + path, timeout=10).status_code == 401
        assert requests.get(board.url, auth=("anna", "s3same"), timeout=10).ok
        assert requests.get(board.url, headers={"X-Forwarded-User": "anna"}, timeout=10).ok


def test_a_board_without_a_password_shows_itself_to_nobody_without_its_token(office: Office) -> None:
    with requests.Session() as stranger:
        stranger.trust_env = False
        for path in (
            "/",
            "/parts",
            "/stream",
            "/numbers",
            "/static/board.js",
            "/actions?token=wrong",
            "/healthz/",
        ):
            answer = stranger.get(office.board.url + path, timeout=10)
            assert answer.status_code == 401, path
            assert "aftercall board --address" in answer.text
            assert "set-cookie" not in answer.headers
        assert stranger.get(f"{office.board.url}/healthz", timeout=10).ok
        assert stranger.get(f"{office.board.url}/parts?token={TOKEN}", timeout=10, cookies={}).json()


def test_a_browser_is_let_in_by_the_printed_address_and_stays_in(office: Office) -> None:
    with requests.Session() as browser:
        browser.trust_env = False
        first = browser.get(
            f"{office.board.url}/numbers?token={TOKEN}", headers={"Accept": "text/html"}, timeout=10
        )
        assert [step.status_code for step in (*first.history, first)] == [303, 200]
        assert first.url == f"{office.board.url}/numbers"
        assert browser.get(f"{office.board.url}/actions", timeout=10).ok
        for cookie in browser.cookies:
            assert TOKEN not in str(cookie.value)


def test_a_copy_of_another_version_is_reported_as_one(office: Office) -> None:
    published = office.installation.home / "published" / "marts.duckdb"
    published.parent.mkdir(exist_ok=True)
    aside = published.rename(published.with_name("aside")) if published.exists() else None
    with duckdb.connect(str(published)) as connection:
        connection.execute("create table calls as select 'atoms:1' as call_key")
    try:
        answer = requests.get(f"{office.board.url}/numbers", timeout=10)
    finally:
        published.unlink()
        if aside:
            aside.rename(published)
    assert answer.status_code == 503
    assert "The published copy cannot be read" in answer.text
    assert "aftercall run" in answer.text
    assert requests.get(f"{office.board.url}/numbers", timeout=10).ok
