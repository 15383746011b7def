"""An outbox that cannot be written, and processes that die between send and mark: no customer gets a mail for each."""

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from integrations.config import IntegrationSettings
from integrations.email.smtp import SmtpSettings
from integrations.outbox import OutboxNotWritable, dispatch, open_outbox, recorder, results
from integrations.outbox import engine as engines
from tests.integrations.email.mail_server import Office, serving
from tests.integrations.examples import NOW, Register, email, ticket

CUSTOMERS = 3


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def mail_settings(office: Office, tmp_path: Path) -> Iterator[Callable[[Path], IntegrationSettings]]:
    with serving(office, trustme.CA(), "none") as port:

        def make(home: Path) -> IntegrationSettings:
            return IntegrationSettings(
                home=home, outbox_url=f"sqlite:///{home}/outbox.sqlite", emails="smtp", smtp_host="127.0.0.1",
                smtp_port=port, smtp_security="none", email_from_address="help@shop.example.com",
                email_allow_example_domains=True, ignore_action_age=True,
            )  # fmt: skip

        yield make


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 2 MB of its own."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def mails() -> list[Any]:
    return [email(str(number), to_address=f"c{number}@example.com") for number in range(CUSTOMERS)]


def ballast(place: Path) -> Path:
    """A file that takes the last byte of a disk."""
    path = place / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    return path


def test_a_full_disk_sends_nothing_and_what_waits_goes_out_once(
    mail_settings: Callable[[Path], IntegrationSettings], office: Office, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as home:
        settings = mail_settings(home)
        with open_outbox(settings.outbox_url) as outbox:
            outbox.enqueue(mails(), NOW, settings)
            full = ballast(home)
            for _ in range(5):
                with pytest.raises(OutboxNotWritable, match="disk is full"):
                    dispatch(outbox, "email", settings)
            assert office.mails == []
            full.unlink()
            assert dispatch(outbox, "email", settings).sent == CUSTOMERS
    assert len({mail["To"] for mail in office.mails}) == len(office.mails) == CUSTOMERS


def test_an_outbox_that_another_process_holds_sends_nothing(
    mail_settings: Callable[[Path], IntegrationSettings],
    office: Office,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.2)
    settings = mail_settings(tmp_path)
    with open_outbox(settings.outbox_url) as outbox:
        outbox.enqueue(mails(), NOW, settings)
        holder = sqlite3.connect(tmp_path / "outbox.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(OutboxNotWritable, match="another process holds"):
                dispatch(outbox, "email", settings)
        assert office.mails == []
        holder.close()
        assert dispatch(outbox, "email", settings).sent == CUSTOMERS


@pytest.mark.parametrize("was_open", [True, False])
def test_a_disk_that_became_read_only_sends_nothing(
    mail_settings: Callable[[Path], IntegrationSettings], office: Office, tmp_path: Path, was_open: bool
) -> None:
    with small_disk(tmp_path / "disk") as home:
        settings = mail_settings(home)
        with open_outbox(settings.outbox_url) as outbox:
            outbox.enqueue(mails(), NOW, settings)
            if was_open:
                dispatch(outbox, "ticket", settings)
            outbox.engine.dispose()
            subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
            for _ in range(2):
                with pytest.raises(OutboxNotWritable, match="Cannot write the outbox"):
                    dispatch(outbox, "email", settings)
            assert office.mails == []
            outbox.engine.dispose()
            subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True)
            assert dispatch(outbox, "email", settings).sent == CUSTOMERS


def test_a_mark_that_fails_sends_a_mail_once_more_at_most(
    mail_settings: Callable[[Path], IntegrationSettings],
    office: Office,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    settings = mail_settings(tmp_path)
    with open_outbox(settings.outbox_url) as outbox:
        outbox.enqueue(mails(), NOW, settings)
        mark = results.mark
        for _ in range(6):
            with monkeypatch.context() as patched:
                # Only what is sent cannot be marked; that a send begins can.
                patched.setattr(recorder, "mark", lambda *args: full() if args[1] else mark(*args))
                with pytest.raises(OSError, match="disk full"):
                    dispatch(outbox, "email", settings)
        assert len(office.mails) <= 2 * CUSTOMERS
        report = dispatch(outbox, "email", settings)
        dead = outbox.actions(status="dead")
        assert report.dead == len(dead) > 0
        assert all("perhaps sent; a person decides" in str(action.last_error) for action in dead)
        assert len(office.mails) <= 2 * CUSTOMERS


KILLED_AFTER_EACH_SEND = """
    import os, signal, sys
    from integrations.config import IntegrationSettings
    from integrations.outbox import dispatch, open_outbox, recorder
    home, port = sys.argv[1:]
    mark = recorder.mark
    def die(*told):
        if told[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        return mark(*told)
    recorder.mark = die
    settings = IntegrationSettings(
        home=home, outbox_url=f"sqlite:///{home}/outbox.sqlite", emails="smtp", smtp_host="127.0.0.1",
        smtp_port=int(port), smtp_security="none", email_from_address="help@shop.example.com",
        email_allow_example_domains=True, ignore_action_age=True,
    )
    dispatch(open_outbox(settings.outbox_url), "email", settings)
"""


def test_a_crash_loop_after_a_send_ends_with_a_person(
    mail_settings: Callable[[Path], IntegrationSettings], office: Office, tmp_path: Path
) -> None:
    settings = mail_settings(tmp_path)
    with open_outbox(settings.outbox_url) as outbox:
        outbox.enqueue([email()], NOW, settings)
        code, port = textwrap.dedent(KILLED_AFTER_EACH_SEND), str(settings.of(SmtpSettings).smtp_port)
        # The third pass finds that two sends have begun, and dies when it marks the action as dead.
        for _ in range(3):
            child = subprocess.run([sys.executable, "-c", code, str(tmp_path), port], check=False, timeout=60)
            assert child.returncode == -9
        assert len(office.mails) == 2
        assert dispatch(outbox, "email", settings).dead == 1
        (action,) = outbox.actions()
        assert (action.status, action.begun) == ("dead", 2)
        assert str(action.last_error).startswith("perhaps sent; a person decides")
        # New content does not send it; a person does.
        outbox.enqueue([email(summary="More is known.")], NOW, settings)
        assert dispatch(outbox, "email", settings).dead == 0
        outbox.retry(action.action_key, by="Ada")
        assert dispatch(outbox, "email", settings).sent == 1
        assert len(office.mails) == 3
        assert len({mail["Message-ID"] for mail in office.mails}) == 1


def test_a_system_that_can_be_asked_is_left_alone_too_while_nothing_can_be_written(
    mail_settings: Callable[[Path], IntegrationSettings], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as home:
        settings = mail_settings(home)
        with open_outbox(settings.outbox_url) as outbox:
            outbox.enqueue([ticket(str(number)) for number in range(3)], NOW, settings)
            full, desk = ballast(home), Register(tmp_path / "desk")
            with pytest.raises(OutboxNotWritable):
                dispatch(outbox, "ticket", settings, destination=desk)
            assert desk.did() == []
            full.unlink()
            assert dispatch(outbox, "ticket", settings, destination=desk).sent == 3
