"""A dispatcher in a process of its own, to be killed: forked from one that has everything imported already."""

import multiprocessing
import os
import signal
from multiprocessing.context import ForkServerContext, ForkServerProcess

from integrations.config import IntegrationSettings
from integrations.outbox import dispatch, open_outbox, recorder


def context() -> ForkServerContext:
    """Where children come from; the server is started once and ends with this process."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload([__name__])
    return forkserver


def dispatcher(
    channel: str, settings: IntegrationSettings, *, dies_before_marking: bool = False
) -> ForkServerProcess:
    """One pass over a channel, not yet started."""
    return context().Process(target=_dispatch, args=(channel, settings, dies_before_marking))


def _dispatch(channel: str, settings: IntegrationSettings, dies_before_marking: bool) -> None:
    signal.alarm(60)
    if dies_before_marking:
        recorder.mark = _die  # type: ignore[attr-defined, assignment]
    with open_outbox(settings.outbox_url) as outbox:
        dispatch(outbox, channel, settings)


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
