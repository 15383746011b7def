"""Recorded traffic is read with its own bytes, and a broken recording says where."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.simulator import RecordingError, count_recording, replay

GOOD = '{"source": "atoms", "sent_at": "2026-11-02T08:00:34.334Z", "body": {"event": "call.start"}}'


def recording(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_body_keeps_its_bytes(tmp_path: Path) -> None:
    odd = '{"b": 1.0, "a": 1e400, "b": 2 , "n": ' + "9" * 5000 + ', "x": "\\ud83d ü"}'
    line = f'{{"body":{odd} , "sent_at": "2026-11-02T09:00:34+01:00", "source": "generic"}}'
    (delivery,) = replay(recording(tmp_path / "calls.ndjson", line))
    assert delivery.body == odd.encode()
    assert delivery.source == "generic"
    assert delivery.at == datetime(2026, 11, 2, 8, 0, 34, tzinfo=UTC)


def test_a_gzipped_recording_reads_like_a_plain_one(tmp_path: Path) -> None:
    plain = recording(tmp_path / "calls.ndjson", GOOD, "", GOOD)
    zipped = tmp_path / "calls.ndjson.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(replay(zipped)) == list(replay(plain))
    assert count_recording(zipped) == {"atoms": 2}


def test_reverse_plays_the_last_first_and_time_still_goes_forward(tmp_path: Path) -> None:
    later = GOOD.replace("08:00:34.334", "08:00:44.334").replace("call.start", "call.end")
    last, first = replay(recording(tmp_path / "calls.ndjson", GOOD, later), reverse=True)
    assert last.body == b'{"event": "call.end"}'
    assert (first.at - last.at).total_seconds() == 10


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"source": "atoms"', "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("{1: 2}", "not a JSON object"),
        (GOOD + GOOD, "Extra data"),
        ('{"source": "atoms", "body": {}}', "without sent_at"),
        (GOOD.replace("2026-11-02T08:00:34.334Z", "yesterday"), "sent_at is not"),
        (GOOD.replace('"atoms"', "7"), "source is not"),
        (GOOD.replace('"atoms"', '"../admin"'), "source is not"),
        (GOOD.replace('{"event": "call.start"}', "[" * 100_000), "nested too deeply"),
    ],
)
def test_a_broken_line_is_named_with_its_number(tmp_path: Path, line: str, reason: str) -> None:
    path = recording(tmp_path / "calls.ndjson", GOOD, line)
    with pytest.raises(RecordingError, match=reason) as caught:
        count_recording(path)
    assert f"{path}, line 2" in str(caught.value)


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson"
    path.write_bytes(GOOD.encode() + b"\n" + GOOD.encode().replace(b"call.start", b"\xff\xfe"))
    with pytest.raises(RecordingError, match="line 2"):
        count_recording(path)


def test_a_cut_off_gzip_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join([GOOD] * 50).encode())[:-20])
    with pytest.raises(RecordingError, match="cut off"):
        count_recording(path)
