"""A dispatcher killed between any two steps, and two at once: afterwards each thing is there exactly once."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from integrations.config import IntegrationSettings
from integrations.outbox import Outbox, dispatch
from integrations.outbox.leases import process_lock
from tests.integrations.examples import NOW, Register, email, ticket
from tests.integrations.outbox.systems import did, say


def child(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    code = "import sys\n" + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)


DISPATCH = """
    from pathlib import Path
    from tests.integrations.examples import NOW, Register
    from integrations.config import IntegrationSettings
    from integrations.outbox import dispatch, open_outbox
    home, url, channel, register, die_at = sys.argv[1:]
    settings = IntegrationSettings(home=home, outbox_url=url)
    target = Register(Path(register), die_at=die_at)
    print(dispatch(open_outbox(url), channel, settings, now=NOW, destination=target))
"""


def wait_until_free(outbox: Outbox, channel: str) -> None:
    """Postgres frees a killed client's lock when it notices, a moment after the kill."""
    deadline = time.monotonic() + 30
    while True:
        with process_lock(outbox.engine, channel, wait=False) as held:
            if held:
                return
        assert time.monotonic() < deadline, "the lock outlived its process"
        time.sleep(0.05)


@pytest.mark.parametrize("action", [ticket, email])
@pytest.mark.parametrize("step", ["find", "before", "after"])
def test_killed_at_every_step(
    outbox: Outbox, settings: IntegrationSettings, tmp_path: Path, action: type, step: str
) -> None:
    rows = [action(str(number)) for number in range(3)]
    outbox.enqueue(rows, NOW, settings)
    path, channel = tmp_path / "register", rows[0].channel
    for row in rows:
        killed = child(
            DISPATCH, str(settings.home), settings.outbox_url, channel, str(path), f"{step} {row.action_key}"
        )
        killed.communicate(timeout=60)
        assert killed.returncode == -9
        wait_until_free(outbox, channel)
    last = Register(path)
    assert dispatch(outbox, channel, settings, now=NOW, destination=last).busy is False
    created_keys = [key for did, key in last.did() if did == "create"]
    assert sorted(created_keys) == sorted(row.action_key for row in rows)
    assert [action.status for action in outbox.actions()] == ["sent"] * 3
    assert dispatch(outbox, channel, settings, now=NOW, destination=last).waiting == 0


def test_two_dispatchers_at_once(outbox: Outbox, settings: IntegrationSettings, tmp_path: Path) -> None:
    outbox.enqueue([ticket(str(number)) for number in range(40)], NOW, settings)
    path = tmp_path / "register"
    slow = """
        import time
        from tests.integrations.examples import Register
        send = Register.send
        Register.send = lambda *args: (time.sleep(0.05), send(*args))[1]
    """
    arguments = (str(settings.home), settings.outbox_url, "ticket", str(path), "")
    first = child(textwrap.dedent(slow) + textwrap.dedent(DISPATCH), *arguments)
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    second = dispatch(outbox, "ticket", settings, now=NOW, destination=Register(path))
    is_shared = outbox.engine.dialect.name == "postgresql"
    assert second.busy or is_shared
    assert second.sent == 0 or is_shared
    assert dispatch(outbox, "email", settings, now=NOW).busy is False
    output, _ = first.communicate(timeout=60)
    assert f"sent={40 - second.sent}".encode() in output
    assert len(Register(path).did()) == 40


def test_a_fill_killed_in_the_middle_leaves_the_old_state(
    outbox: Outbox, settings: IntegrationSettings
) -> None:
    code = """
        import os, signal
        from tests.integrations.examples import NOW, ticket
        from integrations.config import IntegrationSettings
        from integrations.outbox import open_outbox
        home, url = sys.argv[1:]
        def rows():
            for number in range(2_500):
                yield ticket(str(number), title="new")
            os.kill(os.getpid(), signal.SIGKILL)
        open_outbox(url).enqueue(rows(), NOW, IntegrationSettings(home=home, outbox_url=url))
    """
    outbox.enqueue([ticket("0", title="old")], NOW, settings)
    killed = child(code, str(settings.home), settings.outbox_url)
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    assert [action.payload["title"] for action in outbox.actions()] == ["old"]


def test_first_opened_by_eight_processes_at_once(url: str) -> None:
    code = "from integrations.outbox import open_outbox; print(open_outbox(sys.argv[1]).counts())"
    children = [child(code, url) for _ in range(8)]
    assert [one.communicate(timeout=60)[0] for one in children] == [b"[]\n"] * 8


def test_killed_with_several_under_way(
    outbox: Outbox, settings: IntegrationSettings, systems: Path, tmp_path: Path
) -> None:
    """Of what is under way each worker may have sent one that is not marked; it is found, not made again."""
    (settings.home / "destinations.toml").write_text("[limits.north]\nconcurrency = 6\n")
    code = """
        import os, pathlib, signal, threading, time
        import pytest
        from integrations.config import IntegrationSettings
        from integrations.outbox import dispatch, open_outbox, recorder
        from tests.integrations.outbox.systems import did, installed
        home, url, folder = sys.argv[1:]
        settings = IntegrationSettings(home=home, outbox_url=url, tickets="north")
        def watch():
            while len(did(pathlib.Path(home), "north")) < 25:
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Thread(target=watch).start()
        with installed(pathlib.Path(folder), pytest.MonkeyPatch(), "north"):
            dispatch(open_outbox(url), "ticket", settings)
    """
    own_settings = settings.model_copy(update={"tickets": "north"})
    outbox.enqueue([ticket(f"{number}", due_at=None) for number in range(60)], NOW, own_settings)
    say(settings.home, "north", "slow", "0.03")
    (tmp_path / "first").mkdir()
    killed = child(code, str(settings.home), settings.outbox_url, str(tmp_path / "first"))
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    wait_until_free(outbox, "ticket")
    sent = len(did(settings.home, "north"))
    assert 0 <= sent - len(outbox.actions(status="sent", limit=100)) <= 6
    dispatch(outbox, "ticket", own_settings)
    created = [line["key"] for line in did(settings.home, "north") if line["did"] == "create"]
    assert len(created) == len(set(created)) == 60
    assert len(outbox.actions(status="sent", limit=100)) == 60
