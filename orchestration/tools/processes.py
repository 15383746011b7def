"""The programs that `aftercall up` and `demo` start, with their addresses and their environment.

`children` restarts and ends them.
"""

import os
import sys

import requests
from dotenv import dotenv_values

from integrations.board import access
from integrations.board.config import BoardSettings
from orchestration.config import DagsterSettings, OrchestrationSettings
from orchestration.runtime import services
from orchestration.tools.children import Children
from receiver.config import ENV_FILE, ReceiverSettings
from receiver.rsgi import refuse_taken_address

RECEIVER_PAUSE_SECONDS = 5.0
"""Longest pause before the receiver is restarted, so that platforms wait no longer than necessary."""


def receiver_process() -> list[str]:
    """The command of the receiver."""
    return [sys.executable, "-m", "receiver"]


def board_process() -> list[str]:
    """The command of the live board."""
    return [sys.executable, "-m", "orchestration.cli.board", "--quiet"]


def start_receiver(children: Children) -> None:
    """Start the receiver; it is restarted soon if it ends, and it ends after all others."""
    children.start(
        "receiver", receiver_process(), longest_pause_seconds=RECEIVER_PAUSE_SECONDS, ends_last=True
    )


def start_dagster(children: Children, settings: DagsterSettings) -> None:
    """Start Dagster's code server, daemon and web server, with one log.

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
    """True if the URL answers 200 within two seconds."""
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def refuse_to_start() -> None:
    """Raise SystemExit, which names the setting, if an address is taken or would be open to others."""
    for guarded in (BoardSettings(), DagsterSettings()):
        access.refuse_open(guarded)
    for listening in (ReceiverSettings(), BoardSettings(), DagsterSettings()):
        setting = f"AFTERCALL_{listening.bind_setting.upper()}"
        refuse_taken_address(listening.host, listening.port, setting)


def addresses() -> dict[str, str]:
    """The address of each part by name, without a token."""
    return {
        "receiver": f"http://{ReceiverSettings().receiver_bind}",
        "board": f"http://{BoardSettings().board_bind}",
        "dagster": f"http://{DagsterSettings().dagster_bind}",
    }


def pages() -> dict[str, str]:
    """The pages by name, with the token where one is needed; so these are printed and never logged."""
    return {"board": access.address(BoardSettings()), "dagster": access.address(DagsterSettings())}


def environment(settings: OrchestrationSettings) -> dict[str, str]:
    """The environment of this process over that of `.env`, with an absolute state directory.

    The children run in the state directory, which has no `.env`: Dagster prefers a `DAGSTER_HOME` in that file to the
    environment, which would put the runs of two homes into one instance.
    """
    return {
        **{name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None},
        **os.environ,
        "AFTERCALL_HOME": str(settings.home),
        "DAGSTER_HOME": str(settings.dagster),
        "PYTHONUNBUFFERED": "1",
    }
