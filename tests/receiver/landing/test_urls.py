"""Which landing store a URL names, and what every store says of itself to readers."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from receiver.config import Home
from receiver.landing import Piece, UnknownLanding, free_bytes_of, open_landing
from receiver.landing.local import LocalLandingStore


def test_without_a_url_it_is_a_folder_of_the_home(tmp_path: Path) -> None:
    home = tmp_path / "a home, 100 %"
    open_landing(Home(home=home).landing).append([b"{}\n"])
    assert [path.name for path in home.iterdir()] == ["landing"]


def test_a_url_leads_elsewhere(tmp_path: Path) -> None:
    settings = Home(home=tmp_path / "home", landing_url=(tmp_path / "else where").as_uri())
    open_landing(settings.landing).append([b"{}\n"])
    assert [path.name for path in tmp_path.iterdir()] == ["else where"]


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/prefix", "/a/path", "file"])
def test_an_unknown_scheme_names_those_that_are_known_and_no_password(url: str) -> None:
    with pytest.raises(UnknownLanding, match="file:///path/to/folder") as caught:
        open_landing(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["file://landing", "file:landing"])
def test_a_relative_path_is_refused(url: str) -> None:
    with pytest.raises(UnknownLanding, match="absolute path"):
        open_landing(url)


def test_segments_are_read_one_after_the_other_to_the_size_they_had(tmp_path: Path) -> None:
    store = LocalLandingStore(tmp_path, segment_bytes=1)
    for n in range(4):
        store.append([b'{"n":%d}\n' % n, b"[]\n"])
    first, second, third, last = store.segments()
    (tmp_path / second.path).unlink()
    with (tmp_path / last.path).open("ab") as file:
        file.write(b"{}\n")
    parts = [(first, 8), (second, 0), (third, 0), (last, 0)]
    assert list(store.read_all(parts, max_bytes=1)) == [
        Piece(first, 8, b"[]\n"),
        Piece(third, 0, b'{"n":2}\n'),
        Piece(third, 8, b"[]\n"),
        Piece(last, 0, b'{"n":3}\n'),
        Piece(last, 8, b"[]\n"),
    ]
    assert [piece.end for piece in store.read_all(parts)] == [11, 11, 11]


def test_a_disk_shows_a_segment_at_once_and_says_how_much_it_takes(tmp_path: Path) -> None:
    store = LocalLandingStore(tmp_path)
    now = datetime.now(UTC)
    assert store.settled_before(now) >= now
    free = free_bytes_of(store)
    assert free is not None
    assert free() > 0
