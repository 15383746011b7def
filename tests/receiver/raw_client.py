"""What clients say to a running receiver, by raw sockets where a library would be polite. No test belongs here."""

import json
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.homes import landing_of

Started = tuple[str, Path, subprocess.Popen[bytes]]
"""Address, home and process of a receiver."""
JSON = {"Content-Type": "application/json"}


HEAD = b"POST /webhooks/atoms HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def post(url: str, body: bytes = b'{"call_id":"x"}') -> requests.Response:
    return requests.post(f"{url}/webhooks/atoms", data=body, headers=JSON, timeout=60)


def refused(answer: requests.Response, status: int = 503) -> str:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert status != 503 or int(answer.headers["Retry-After"]) > 0
    return str(answer.json()["detail"])


def landed(home: Path) -> list[Any]:
    store = landing_of(home)
    return [
        json.loads(line)["payload"]
        for segment in store.segments()
        for line in store.read(segment.path, 0, 1 << 30).data.splitlines()
    ]


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=40)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def raw(url: str, request: bytes, answers: int = 1, ends: bool = False) -> bytes:
    """What comes back until there are so many answers or the server hangs up; `ends`: the client says no more."""
    received = b""
    with connect(url) as connection:
        try:
            connection.sendall(request)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while received.count(b"HTTP/1.1 ") < answers and (data := connection.recv(65536)):
                received += data
        except ConnectionError:  # the server hung up on a sender that went on
            pass
    return received


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stall_disk(home: Path) -> Path:
    stall = home / "stall"
    stall.touch()
    return stall
