"""`aftercall connect`: prints what to enter at a platform, sends a signed trial, waits for the first real event."""

import time
from collections.abc import Callable

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from integrations.rendering import line
from orchestration.recovery.platform import MARK
from orchestration.tools.connect import Arrivals, NotConnected, attempt, refusals
from receiver import probe_event
from receiver.config import SECRET_PREFIX, ReceiverSettings, setting_name
from receiver.envelope import LandedEvent
from receiver.landing import open_landing
from receiver.sources import SOURCES, Source

LANDS_WITHIN_SECONDS = 5.0
_POLL_SECONDS = 0.25
_REFUSALS_SECONDS = 2.0
_INTERRUPTED = 130


@click.command("connect")
@click.argument("source", type=click.Choice(sorted(SOURCES)))
@click.option("--url", help="Public address of the receiver.", show_default="AFTERCALL_RECEIVER_PUBLIC_URL")
@click.option(
    "--wait", default=600.0, show_default=True, help="Longest wait for the first event, seconds; 0: none."
)
def connect_command(source: str, url: str | None, wait: float) -> None:
    """Show what to enter at a platform, send a signed trial through the public address, wait for the first event."""
    settings, console = ReceiverSettings(), Console(highlight=False, soft_wrap=True)
    platform = SOURCES[source]
    base = (url or settings.receiver_public_url or f"http://{settings.receiver_bind}").rstrip("/")
    address = f"{base}/webhooks/{source}"
    _explain(console, platform, address)
    _refuse_other_address(platform, base, settings)
    secret = _secret(platform, settings)
    arrivals = Arrivals(open_landing(settings.landing), source)
    try:
        identity = attempt(platform, address, secret)
    except NotConnected as error:
        raise click.ClickException(str(error)) from error
    _confirm(console, arrivals, identity, settings)
    if not (url or settings.receiver_public_url):
        console.print(
            "No platform can reach this address: put a proxy with a certificate in front of it, and set "
            "AFTERCALL_RECEIVER_PUBLIC_URL to its address.",
            style="yellow",
        )
    if wait > 0:
        _await_first(console, arrivals, platform, settings, wait)


def _explain(console: Console, source: Source, address: str) -> None:
    setup = source.setup
    console.print(f"[bold]{setup.platform}[/] [dim]({source.name})[/]\n")
    console.print("URL      ", Text(address, "bold"), sep="")
    console.print(
        "method   POST\ncontent ", setup.content_type, "or application/json" if source.takes_forms else ""
    )
    console.print("signed by", ", ".join(source.signature_headers))
    console.print(f"secret    {_setting(source)}: {setup.credential}\n")
    for number, step in enumerate(setup.steps, 1):
        console.print(Text(f"{number}. {step.replace('{url}', address)}"))
    console.print()


def _setting(source: Source) -> str:
    return f"{SECRET_PREFIX}{setting_name(source.name).upper()}"


def _refuse_other_address(source: Source, base: str, settings: ReceiverSettings) -> None:
    if source.takes_address and base != settings.receiver_public_url:
        raise click.ClickException(
            f"{source.setup.platform} signs the address that it calls, so the receiver must know it: set "
            f"AFTERCALL_RECEIVER_PUBLIC_URL={base} and restart the receiver"
        )


def _secret(source: Source, settings: ReceiverSettings) -> str | None:
    """The newest secret. None if the receiver takes unsigned events, by the operator's own setting."""
    secrets = settings.secrets_for(source.name)
    if not secrets and not settings.receiver_allow_unsigned:
        raise click.ClickException(
            f"{_setting(source)} is not set: put {source.setup.credential} there (in the environment or .env), "
            "restart the receiver, and run this again"
        )
    return secrets[0] if secrets else None


def _confirm(console: Console, arrivals: Arrivals, identity: str | None, settings: ReceiverSettings) -> None:
    """Confirm that the trial landed where this machine's load reads. Raises click's error if it did not."""
    if identity is None:
        console.print("[green]ok[/]  the receiver answers, and refuses what is not signed")
        console.print(
            "    nobody else can sign for this platform, so the first event will show whether the key is right"
        )
        return
    if not _until(lambda: any(event.event_id == identity for event in arrivals.new()), LANDS_WITHIN_SECONDS):
        raise click.ClickException(
            f"the receiver took the trial, but it is not in {settings.landing}: run this where that receiver runs, "
            "with its AFTERCALL_HOME"
        )
    console.print("[green]ok[/]  a signed trial came through the address and landed; it counts as no call")


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _await_first(
    console: Console, arrivals: Arrivals, source: Source, settings: ReceiverSettings, wait: float
) -> None:
    """Wait for the platform's own first event; meanwhile print refused requests."""
    counts = refusals(settings.receiver_bind, source.name)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    deadline, looked_at = time.monotonic() + wait, time.monotonic()
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(
                f"waiting for the first event of {source.setup.platform}: make a call (Ctrl-C ends)"
            )
            while time.monotonic() < deadline:
                for event in arrivals.new():
                    if _is_sent_by_platform(event):
                        _show_first(console, event)
                        return
                if time.monotonic() - looked_at > _REFUSALS_SECONDS:
                    looked_at, newest = time.monotonic(), refusals(settings.receiver_bind, source.name)
                    for reason in sorted(newest):
                        if newest[reason] > counts.get(reason, 0):
                            console.print(f"[yellow]refused[/]  {reason}: see Signatures in docs/receiver.md")
                    counts = newest
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        console.print("stopped waiting; the receiver goes on, and this can be run again at any time")
        raise SystemExit(_INTERRUPTED) from None
    raise click.ClickException(
        f"no event of {source.setup.platform} came within {wait:g} s: see that the steps above are done, make a call, "
        "and look at the platform's own log of webhook deliveries"
    )


def _is_sent_by_platform(event: LandedEvent) -> bool:
    """True for an event that is neither a trial nor recovered: a recovery may land events at any time."""
    is_recovered = str(event.event_id).startswith(f"{MARK}:")
    return event.event_type != probe_event.EVENT_TYPE and not is_recovered


def _show_first(console: Console, event: LandedEvent) -> None:
    """Print the first event; a stranger's text becomes one line."""
    call = f" of call {line(event.call_id)}" if event.call_id else ", which names no call"
    console.print(
        "[green]ok[/]  first event: ",
        Text(f"{line(event.event_type) or 'of no known type'}{call}"),
        sep="",
    )
