"""Several dispatchers on one outbox: an empty database in Postgres, threads, and a system that notes who came when."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrations.destinations import Delivery, Limits
from tests.integrations.examples import Register


@contextmanager
def empty_database(postgres: str, nodeid: str) -> Iterator[str]:
    """Yield the URL of an empty database of the cluster."""
    psycopg = pytest.importorskip("psycopg")
    name = f"l{os.getpid()}_{abs(hash(nodeid))}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Blind(Register):
    """A system that nobody can ask: each send is a line of its own. It notes who sends what at the same time."""

    can_be_asked = False

    def __init__(self, path: Path, slow: float = 0.0, concurrency: int = 1) -> None:
        super().__init__(path)
        self.slow, self.under_way, self.most = slow, Counter[str](), 0
        self.lock, self.overtaken = threading.Lock(), list[str]()
        self.limits = Limits(concurrency)

    def find(self, delivery: Delivery) -> str | None:
        return None

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        chain = str(delivery.payload.get("phone") or delivery.call_id)
        with self.lock:
            self.under_way[chain] += 1
            self.overtaken += [chain] if self.under_way[chain] > 1 else []
            self.most = max(self.most, sum(self.under_way.values()))
        time.sleep(self.slow)
        with self.lock:
            identity = super().send(delivery, external_id)
            self.under_way[chain] -= 1
        return identity


def created(desk: Register) -> list[str]:
    return [key for did, key in desk.did() if did == "create"]


def in_threads(count: int, work: Callable[[], None]) -> None:
    """Run it in several threads; the first error is raised here."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
