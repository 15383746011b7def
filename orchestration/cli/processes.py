"""The programs that `aftercall up` and `demo` start, where they listen, and with which environment.

Keeping them alive and ending them belongs to `children`.
"""

import os
import sys

import requests
from dotenv import dotenv_values

from integrations.board import access
from integrations.board.config import BoardSettings
from orchestration.cli.children import Children
from orchestration.config import DagsterSettings, OrchestrationSettings
from orchestration.runtime import services
from receiver.config import ENV_FILE, ReceiverSettings
from receiver.rsgi import refuse_taken_address

RECEIVER_PAUSE_SECONDS = 5.0
"""How long the receiver is left dead at most: no platform waits longer than it must."""


def receiver_process() -> list[str]:
    """The command of the receiver."""
    return [sys.executable, "-m", "receiver"]


def board_process() -> list[str]:
    """The command of the live board."""
    return [sys.executable, "-m", "orchestration.cli.board", "--quiet"]


def start_receiver(children: Children) -> None:
    """Start the receiver, which is soon started again if it ends, and ends after all others."""
    children.start(
        "receiver", receiver_process(), longest_pause_seconds=RECEIVER_PAUSE_SECONDS, ends_last=True
    )


def start_dagster(children: Children, settings: DagsterSettings) -> None:
    """Start Dagster's code server, daemon and web server; what they print goes into one log.

    The web server and the daemon wait for the code server by themselves.
    """
    workspace = services.prepare_workspace(settings)
    for name, command in (
        ("dagster code server", services.code_process(settings)),
        ("dagster daemon", services.daemon_process(workspace)),
        ("dagster", services.web_process(workspace)),
    ):
        children.start(name, command, log="dagster")


def answers(url: str) -> bool:
    """Whether something answers 200 there within two seconds."""
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def refuse_to_start() -> None:
    """Raise SystemExit, which names the setting, when an address is taken or would be open to others."""
    for guarded in (BoardSettings(), DagsterSettings()):
        access.refuse_open(guarded)
    for listening in (ReceiverSettings(), BoardSettings(), DagsterSettings()):
        setting = f"AFTERCALL_{listening.bind_setting.upper()}"
        refuse_taken_address(listening.host, listening.port, setting)


def addresses() -> dict[str, str]:
    """Where each part answers, by name; without a token."""
    return {
        "receiver": f"http://{ReceiverSettings().receiver_bind}",
        "board": f"http://{BoardSettings().board_bind}",
        "dagster": f"http://{DagsterSettings().dagster_bind}",
    }


def pages() -> dict[str, str]:
    """What a person opens, by name; with the token where one is asked for, so these are printed and never logged."""
    return {"board": access.address(BoardSettings()), "dagster": access.address(DagsterSettings())}


def environment(settings: OrchestrationSettings) -> dict[str, str]:
    """The environment of this process over that of `.env`, with the state directory made absolute.

    The children run in the state directory and find no `.env` there: Dagster lets a `DAGSTER_HOME` in that file win
    over the environment, which would put the runs of two homes into one instance.
    """
    return {
        **{name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None},
        **os.environ,
        "AFTERCALL_HOME": str(settings.home),
        "DAGSTER_HOME": str(settings.dagster),
        "PYTHONUNBUFFERED": "1",
    }
