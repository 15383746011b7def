"""Systems beside each other behind a channel, as files in its folder would be; what each does is in files too."""

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery
from integrations.errors import DestinationUnavailable, Rejected, TransientError, Unreachable

KINDS: dict[str, Callable[[str], Exception]] = {
    "paused": DestinationUnavailable, "refused": Rejected, "retryable": TransientError, "unreachable": Unreachable,
    "unanswered": partial(Unreachable, may_be_done=True),
}  # fmt: skip
FILE = """
from tests.integrations.outbox.systems import Desk
def open_destination(settings):
    return Desk(__name__.rpartition(".")[2], settings)
"""


class Desk:
    """Keeps a line for each thing it did; fails while a file says how, waits while one says for how many others."""

    under_way = 0
    most = 0
    opened = 0
    lock = threading.Condition()

    def __init__(self, name: str, settings: IntegrationSettings) -> None:
        self.name, self.home = name, settings.home
        self.slow = float(instruction(self.home, name, "slow") or 0)
        self.together = int(instruction(self.home, name, "together") or 0)
        self.threads: set[int] = set()
        with Desk.lock:
            Desk.opened += 1

    def find(self, delivery: Delivery) -> str | None:
        self.threads.add(threading.get_ident())
        if blind := instruction(self.home, self.name, "blind"):
            raise KINDS[blind](f"{self.name} is {blind}")
        known_ids = (line["id"] for line in did(self.home, self.name) if line["key"] == delivery.action_key)
        return next(known_ids, None)

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        self.threads.add(threading.get_ident())
        assert len(self.threads) == 1, "one opened destination was used by two threads"
        with Desk.lock:
            Desk.under_way += 1
            Desk.most = max(Desk.most, Desk.under_way)
            Desk.lock.notify_all()
            Desk.lock.wait_for(lambda: Desk.most >= self.together, timeout=30)
        try:
            began = time.monotonic()
            time.sleep(self.slow)
            failure = instruction(self.home, self.name, "fails")
            if failure:
                raise KINDS[failure](f"{self.name} is {failure}")
            identity = external_id or f"{self.name}/{delivery.action_key}"
            line = {
                "key": delivery.action_key, "id": identity, "did": "update" if external_id else "create",
                "contact": delivery.contact_id, "earlier": [one.action_key for one in delivery.earlier],
                "began": began, "ended": time.monotonic(),
            }  # fmt: skip
            handle = os.open(self.home / f"{self.name}.did", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, (json.dumps(line) + "\n").encode())
            os.close(handle)
            return identity
        finally:
            with Desk.lock:
                Desk.under_way -= 1


def did(home: Path, name: str) -> list[dict[str, Any]]:
    """What a system did, in order."""
    path = home / f"{name}.did"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def say(home: Path, name: str, what: str, value: str = "") -> None:
    """Have a system fail or take its time.

    `fails`: one of KINDS; `blind`: so when it is only looked into; `slow`: seconds; `together`: until so many came.
    """
    (home / f"{name}.{what}").write_text(value)


def instruction(home: Path, name: str, what: str) -> str:
    path = home / f"{name}.{what}"
    return path.read_text() if path.exists() else ""


@contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[None]:
    """Systems of these names in every channel."""
    modules = []
    for channel in ("ticket", "email", "crm", "chat"):
        place = folder / channel
        place.mkdir()
        for name in names:
            (place / f"{name}.py").write_text(FILE)
            modules.append(f"integrations.{channel}.{name}")
        package = importlib.import_module(f"integrations.{channel}")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])
    importlib.invalidate_caches()
    Desk.most = Desk.opened = 0
    try:
        yield
    finally:
        for module in modules:
            sys.modules.pop(module, None)
