"""What every destination goes through, and what must be true afterwards: the other system holds each thing once, and
the outbox says so.

A destination takes part with an adapter and an empty-looking class in its own test file:

    class MyDesk(UnderFault):
        channel = "ticket"

        def __init__(self, system: System) -> None:            # a fake of servers.py, or a real server
            self.upstream = system.address

        def settings(self, url: str) -> dict[str, Any]:         # whatever leads the destination to `url`
            return {"tickets": "mydesk", "mydesk_url": url, "mydesk_token": "right"}

        def wrong_credentials(self) -> dict[str, Any]:
            return {"mydesk_token": "wrong"}

        def actions(self, case: str, revision: int = 0) -> list[DueAction]:
            return [ticket(case, title=f"revision {revision}")]  # a CRM gives contact, note and task

        def count(self, action: DueAction) -> int: ...           # asked of the system itself, not through the proxy
        def told(self, action: DueAction) -> str: ...            # likewise; for UpdateFaults
        def delete(self, action: DueAction) -> None: ...         # for DeletionFaults


    class TestFaults(FaultSuite, TlsFaults, CredentialFaults, UpdateFaults, DeletionFaults):
        @pytest.fixture(scope="class")
        @classmethod
        def adapter(cls) -> Iterator[UnderFault]:
            with servers.running() as system:
                yield MyDesk(system)

Every fault of `proxy.Fault` is tried at every request that the destination makes for a new action (FaultSuite), and
those of `OF_UPDATES` at every request of an update; the other classes are for what only some systems have. One
whose record was deleted raises `integrations.errors.NotFound` when it is to update it; it is then asked to `find`, and
to create.
"""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from integrations.config import IntegrationSettings
from integrations.outbox import DueAction, Outbox, dispatch, open_outbox
from integrations.outbox.schema import UPDATABLE
from integrations.routes import FILE
from tests.integrations.examples import NOW
from tests.integrations.faults.children import dispatcher
from tests.integrations.faults.proxy import HANGS, KILLS, Fault, Proxy, standing_before
from tests.integrations.faults.wire_protocols import Dialogue, Http
from tests.integrations.servers import certified

PATIENT = {"retry_max_attempts": 99, "ignore_action_age": True}
# Only where the system hangs: on a busy machine an answer that does come may take as long.
SHORT = {"http_read_seconds": 0.5, "http_whole_seconds": 20, "smtp_seconds": 0.5}
# What a destination takes a second is none of the faults', and waiting for one's turn would take most of the time.
AT_ONCE = 1_000
MOST_TRIES = 8
# Each kind of answer, and of none, once; where the update was not done at all, one kind is as good as another.
OF_UPDATES = (
    Fault.RESET, Fault.LOST_ANSWER, Fault.HANG_AFTER_IT_WAS_DONE, Fault.BUSY, Fault.ERROR,
    Fault.ERROR_AFTER_IT_WAS_DONE, Fault.MALFORMED, Fault.PAGE,
)  # fmt: skip


class UnderFault:
    """What the suite must know of a destination and of the system behind it."""

    channel: str
    upstream: tuple[str, int]
    dialogue: Dialogue = Http()
    scheme = "http"
    hung_after: Mapping[str, Any] = SHORT
    """Settings under which a hang is soon over, and this system's own answers still come in time."""
    recognises_repeats = True
    """False: the system shows nothing by which a repeat could be known, and a lost answer makes a second one."""

    def settings(self, url: str) -> dict[str, Any]:
        """Settings with the right credentials that lead to this address."""
        raise NotImplementedError

    def secured(self, url: str) -> dict[str, Any]:
        """The same for an address that is reached by TLS only."""
        return self.settings(url)

    def wrong_credentials(self) -> dict[str, Any]:
        """What of the settings to change so that the system refuses the key."""
        raise NotImplementedError

    def actions(self, case: str, revision: int = 0) -> list[DueAction]:
        """Due actions of a case, whose records are nobody else's; another revision is other content."""
        raise NotImplementedError

    def count(self, action: DueAction) -> int:
        """How many things the system holds for an action, as its people see them."""
        raise NotImplementedError

    def stored_text(self, action: DueAction) -> str:
        """All that the system holds for an action, in any form that has the words of its last revision."""
        raise NotImplementedError

    def delete(self, action: DueAction) -> None:
        """Delete the record on the other side."""
        raise NotImplementedError


@dataclass
class Stage:
    """An outbox, a system, and the proxy between them."""

    adapter: UnderFault
    proxy: Proxy
    home: Path
    outbox: Outbox
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def settings(self, **changes: Any) -> IntegrationSettings:
        url = f"{self.adapter.scheme}://127.0.0.1:{self.proxy.port}"
        ours = PATIENT | self.adapter.settings(url) | changes
        return IntegrationSettings(home=self.home, outbox_url=f"sqlite:///{self.home}/outbox.sqlite", **ours)

    def due(self, case: str = "", revision: int = 0) -> list[DueAction]:
        """Actions that are in the outbox now, of a new case unless one is named."""
        actions = self.adapter.actions(case or f"{next(self.numbers)}", revision)
        self.outbox.enqueue(actions, NOW, self.settings())
        return actions

    def dispatch(self, **changes: Any) -> None:
        dispatch(self.outbox, self.adapter.channel, self.settings(**changes))

    def strike(self, actions: list[DueAction], fault: Fault, step: int) -> None:
        """One thing goes wrong, and then nothing any more."""
        self.proxy.arm(fault, step)
        self.dispatch(**self.adapter.hung_after if fault in HANGS else {})
        assert self.proxy.has_struck
        self.settle(actions)

    def kill(self, actions: list[DueAction], fault: Fault | None, step: int) -> None:
        """The process dies at a request, or, without a fault, before it marks the first action."""
        self.proxy.arm(fault, step)
        child = dispatcher(self.adapter.channel, self.settings(), dies_before_marking=fault is None)
        child.start()
        self.proxy.victim = child.pid or 0
        child.join()
        assert child.exitcode == -signal.SIGKILL
        self.settle(actions)

    def settle(self, actions: list[DueAction]) -> None:
        """Try again without waiting, as time would, until all is sent."""
        self.proxy.arm(None)
        for _ in range(MOST_TRIES):
            self.dispatch()
            open_ones = [action for action in actions if self.status(action) != "sent"]
            if not open_ones:
                return
            for action in open_ones:
                assert self.status(action) in ("pending", "retrying"), self.outbox.action(action.action_key)
                self.outbox.retry(action.action_key)
        raise AssertionError([self.outbox.action(action.action_key) for action in actions])

    def status(self, action: DueAction) -> str:
        stored = self.outbox.action(action.action_key)
        assert stored is not None
        return stored.status

    def steps(self, case: str = "") -> int:
        """How many requests a case takes when all goes well: a new one, or the update of the one named."""
        self.proxy.arm(None)
        actions = self.due(case, revision=1 if case else 0)
        self.settle(actions)
        return self.proxy.steps

    def assert_once(self, actions: list[DueAction], where: str, most: int = 1) -> None:
        for action in actions:
            stored = self.outbox.action(action.action_key)
            assert stored is not None
            assert (stored.status, bool(stored.external_id)) == ("sent", True), where
            assert 1 <= self.adapter.count(action) <= most, f"{action.action_key}: {where}"


@contextmanager
def stage(adapter: UnderFault, home: Path) -> Iterator[Stage]:
    """A destination's stage, with an outbox in this folder."""
    with (
        standing_before(adapter.upstream, adapter.dialogue) as proxy,
        open_outbox(f"sqlite:///{home}/outbox.sqlite") as outbox,
    ):
        new_stage = Stage(adapter, proxy, home, outbox)
        (name,) = new_stage.settings().destinations_of(adapter.channel)
        (home / FILE).write_text(f"[limits.{name}]\nper_second = {AT_ONCE}\n")
        yield new_stage


class FaultSuite:
    """Every fault and every kill; a subclass in the destination's own test file names its adapter."""

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[UnderFault]:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, adapter: UnderFault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
        with stage(adapter, tmp_path_factory.mktemp("faults")) as new_stage:
            yield new_stage

    @pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in KILLS], ids=lambda f: f.name)
    def test_a_fault_at_every_request(self, stage: Stage, fault: Fault) -> None:
        for step in range(stage.steps()):
            actions = stage.due()
            stage.strike(actions, fault, step)
            stage.assert_once(actions, f"{fault.value} at request {step}", most=_most(stage, fault))

    @pytest.mark.parametrize("when", ["KILL", "KILL_AFTER_IT_WAS_DONE", "BEFORE_THE_MARK"])
    def test_killed_at_every_request(self, stage: Stage, when: str) -> None:
        fault = None if when == "BEFORE_THE_MARK" else Fault[when]
        for step in range(stage.steps() if fault else 1):
            actions = stage.due()
            stage.kill(actions, fault, step)
            most = _most(stage, fault or Fault.KILL_AFTER_IT_WAS_DONE)
            stage.assert_once(actions, f"{when} at request {step}", most=most)


class UpdateFaults:
    """For kinds whose record may change after it was made."""

    @pytest.mark.parametrize("fault", OF_UPDATES, ids=lambda f: f.name)
    def test_a_fault_at_every_request_of_an_update(self, stage: Stage, fault: Fault) -> None:
        self._tried_at_every_request(stage, fault)

    def test_killed_at_every_request_of_an_update(self, stage: Stage) -> None:
        # To die before a request is to die after the one before it.
        self._tried_at_every_request(stage, Fault.KILL_AFTER_IT_WAS_DONE)

    def _tried_at_every_request(self, stage: Stage, fault: Fault) -> None:
        case = f"{next(stage.numbers)}"
        stage.settle(stage.due(case))
        for step in range(stage.steps(case)):
            actions = stage.due(case, revision=10 + step)
            (stage.kill if fault in KILLS else stage.strike)(actions, fault, step)
            where = f"{fault.value} at request {step} of an update"
            stage.assert_once(actions, where)
            for action in actions:
                words = f"revision {10 + step}"
                assert words not in str(action.payload) or words in stage.adapter.stored_text(action), where


class CredentialFaults:
    """For systems that want a key."""

    def test_wrong_credentials_stop_it_and_cost_nothing(self, stage: Stage) -> None:
        actions = stage.due()
        stage.proxy.arm(None)
        stage.dispatch(**stage.adapter.wrong_credentials())
        assert len(stage.outbox.pauses()) == 1
        for action in actions:
            stored = stage.outbox.action(action.action_key)
            assert stored is not None
            assert (stored.attempts, stored.status) == (0, "pending")
            assert stage.adapter.count(action) == 0
        stage.outbox.resume(stage.adapter.channel)
        stage.settle(actions)
        stage.assert_once(actions, "wrong credentials")
        assert stage.outbox.pauses() == []


class TlsFaults:
    """For systems that are reached by TLS."""

    def test_a_certificate_for_another_name_gets_nothing(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        context, authority = certified("desk.example")
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
        actions = stage.due()
        with standing_before(stage.adapter.upstream, stage.adapter.dialogue, context) as secure:
            stage.dispatch(**stage.adapter.secured(f"https://127.0.0.1:{secure.port}"))
            assert secure.steps == 0
        assert stage.outbox.pauses(), [stage.outbox.action(action.action_key) for action in actions]
        assert "certificate" in stage.outbox.pauses()[0].reason
        stage.outbox.resume(stage.adapter.channel)
        stage.settle(actions)
        stage.assert_once(actions, "a certificate for another name")


class DeletionFaults:
    """For systems in which people delete things: what is updated afterwards is made anew, what is not stays gone."""

    def test_a_record_that_was_deleted_on_the_other_side(self, stage: Stage) -> None:
        case = f"{next(stage.numbers)}"
        actions = stage.due(case)
        stage.settle(actions)
        for action in actions:
            stage.adapter.delete(action)
            assert stage.adapter.count(action) == 0
        stage.settle(stage.due(case, revision=1))
        for action in actions:
            assert stage.adapter.count(action) == int(action.kind in UPDATABLE)
            assert stage.status(action) == "sent"


def _most(stage: Stage, fault: Fault) -> int:
    return 1 if stage.adapter.recognises_repeats or not fault.is_done else 2
