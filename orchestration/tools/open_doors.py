"""The open doors that `aftercall doctor` counts: ways to send, see or change something without authentication.

A running service is asked; otherwise the settings decide. Closing a door is the operator's task.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import requests

from integrations.board.config import BoardSettings, Guarded
from orchestration.config import DagsterSettings
from receiver import private
from receiver.config import ReceiverSettings, setting_name
from receiver.exposure import open_sources

_ANSWERS_WITHIN_SECONDS = 2
_NAMED = 3


@dataclass(frozen=True)
class Door:
    """An open door: what is open, and how to close it."""

    what: str
    remedy: str


@dataclass(frozen=True)
class SourceDoor(Door):
    """A source that accepts unsigned events."""

    source: str
    of_receiver: str


def open_doors() -> list[Door]:
    """Every open door; one per source that accepts unsigned events."""
    return [
        *_unsigned_sources(ReceiverSettings()),
        *_shown(BoardSettings(), "/parts", "the board"),
        *_shown(DagsterSettings(), "/graphql?query=%7Bversion%7D", "Dagster's web server"),
        *_believed_header(BoardSettings()),
        *_readable_files(BoardSettings()),
    ]


def _unsigned_sources(settings: ReceiverSettings) -> Iterator[Door]:
    for name, senders in open_sources(settings).items():
        takes = f"the receiver takes unsigned events from {senders}"
        setting = f"AFTERCALL_SECRET_{setting_name(name).upper()}"
        yield SourceDoor(f"{takes}: {name}", f"set {setting}", source=name, of_receiver=takes)


def _shown(settings: Guarded, path: str, title: str) -> Iterator[Door]:
    """A door if the service there answers without a password; none where nothing listens."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # no password of a netrc file
            answer = session.get(f"http://{settings.bind}{path}", timeout=_ANSWERS_WITHIN_SECONDS)
    except requests.RequestException:
        return
    if answer.ok:
        yield Door(
            f"{title} at {settings.bind} asks nobody who they are",
            "it was not started by this version's aftercall up or aftercall board: end it, and start it so",
        )


def _believed_header(settings: BoardSettings) -> Iterator[Door]:
    if settings.board_user_header and not settings.trusted_proxies.strip():
        yield Door(
            f"any program of this machine may say in {settings.board_user_header} who it is",
            "set AFTERCALL_TRUSTED_PROXIES to the proxy's address",
        )


def _readable_files(settings: BoardSettings) -> Iterator[Door]:
    readable = [path for path, _ in private.exposed(settings.home)]
    if readable:
        named = ", ".join(str(path) for path in readable[:_NAMED])
        more = ", and more" if len(readable) > _NAMED else ""
        yield Door(
            f"others can read {len(readable)} files and folders of the home: {named}{more}",
            "close them: aftercall init",
        )
