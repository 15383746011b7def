"""One captured delivery, sent again and again, does not fill the disk, and nothing is lost by that."""

import random
import subprocess
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from receiver.repeats import Repeats, event_key
from tests.receiver.raw_client import JSON, landed

Started = tuple[str, Path, subprocess.Popen[bytes]]
LIMIT = 10


def post(url: str, body: bytes, **headers: str) -> tuple[int, str]:
    answer = requests.post(f"{url}/webhooks/generic", data=body, headers=JSON | headers, timeout=60)
    return answer.status_code, answer.json().get("event_id", "")


def counted(url: str, name: str) -> float:
    lines = requests.get(f"{url}/metrics", timeout=20).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))


def test_a_replay_stops_being_landed_and_is_still_a_duplicate(
    start_receiver: Callable[..., Started], pool: ThreadPoolExecutor
) -> None:
    url, home, _ = start_receiver()
    body = b'{"type": "call.end", "data": {"call_id": "c1"}}'
    answers = set(pool.map(lambda _: post(url, body), range(8 * LIMIT)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 200
    # those that came before the first was on disk have to be landed each
    assert len(landed(home)) < 8 * LIMIT
    before = len(landed(home))
    assert before >= LIMIT
    assert {post(url, body) for _ in range(2 * LIMIT)} == answers
    assert len(landed(home)) == before
    assert counted(url, "aftercall_receiver_repeats_total") == 10 * LIMIT - before
    assert counted(url, "aftercall_receiver_events_total") == 10 * LIMIT
    # other events are landed as ever: of another call under the same id too, which the load keeps apart
    assert post(url, b'{"type": "call.start", "data": {"call_id": "c1"}}')[0] == 200
    for call in (b"c2", b"c3"):
        assert post(url, b'{"data": {"call_id": "%s"}}' % call, **{"webhook-id": "one"})[0] == 200
    assert len(landed(home)) == before + 3


def test_a_restart_forgets(start_receiver: Callable[..., Started]) -> None:
    url, home, process = start_receiver(receiver_repeats="2")
    for _ in range(5):
        assert post(url, b'{"type": "call.end"}')[0] == 200
    assert len(landed(home)) == 2
    process.terminate()
    process.wait(timeout=20)
    url, again, _ = start_receiver(receiver_repeats="2", home=str(home))
    assert post(url, b'{"type": "call.end"}')[0] == 200
    assert again != home
    assert len(landed(home)) == 3


def test_only_what_is_on_disk_counts() -> None:
    repeats, key = Repeats(2), event_key("atoms", "c1", "e1")
    for _ in range(20):  # the disk is full
        assert repeats.begin(key)
        repeats.end(key, is_durable=False)
    assert all(
        repeats.begin(key) for _ in range(20)
    )  # on their way, and nobody knows yet whether they arrive
    repeats.end(key, is_durable=True)
    assert not repeats.begin(key)
    for _ in range(19):
        repeats.end(key, is_durable=False)
    assert repeats.begin(key)  # one line is there, one more may come
    repeats.end(key, is_durable=True)
    assert not repeats.begin(key)
    assert repeats.begin(event_key("atoms", "c1", "e2"))


def test_without_a_limit_everything_is_landed() -> None:
    repeats, key = Repeats(0), event_key("atoms", None, "e1")
    for _ in range(100):
        assert repeats.begin(key)
        repeats.end(key, is_durable=True)


@pytest.mark.parametrize("most", [1, 3, 50])
@given(seed=st.integers(0, 2**32))
def test_nothing_is_held_back_that_is_not_on_disk_whatever_is_forgotten(most: int, seed: int) -> None:
    chance = random.Random(seed)
    repeats, on_disk = Repeats(3, most), Counter[bytes]()
    under_way: list[bytes] = []
    for _ in range(300):
        if under_way and chance.random() < 0.5:
            key = under_way.pop(chance.randrange(len(under_way)))
            is_durable = chance.random() < 0.7
            on_disk[key] += is_durable
            repeats.end(key, is_durable=is_durable)
        else:
            key = event_key("atoms", "c", str(chance.randrange(8)))
            if repeats.begin(key):
                under_way.append(key)
            else:
                assert on_disk[key] >= 1
        assert len(repeats._counts) <= most


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert event_key("atoms", "a", "b\x1fc") != event_key("atoms", "a\x1fb", "c")
    assert event_key("atoms", None, "a") == event_key("atoms", "", "a")
