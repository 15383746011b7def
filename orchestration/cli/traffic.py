"""`aftercall replay` and `aftercall simulate`: post recorded or synthetic traffic, with a progress bar."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orchestration.simulator.delivery import Delivery, why_unsigned
from orchestration.simulator.replay import RecordingError, count_recording, replay
from orchestration.simulator.sender import PostReport, post_all
from orchestration.simulator.simulate import simulate
from receiver.config import ReceiverSettings
from receiver.sources import SOURCES


def _default_url() -> str:
    return f"http://{ReceiverSettings().receiver_bind}"


@click.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", default=_default_url, help="Base URL of the receiver.", show_default="receiver's bind")
@click.option("--clients", default=16, show_default=True, help="Connections at the same time.")
@click.option("--rate", type=float, help="Deliveries per second; default: as fast as the receiver answers.")
@click.option("--speed", type=float, help="Keep the recorded times, so many times as fast.")
@click.option("--reverse", is_flag=True, help="Last delivery first.")
def replay_command(
    file: Path, url: str, clients: int, rate: float | None, speed: float | None, reverse: bool
) -> None:
    """Post recorded traffic: NDJSON of {"source", "sent_at", "body"}, plain or gzipped.

    Each delivery is signed as its platform signs, with the source's own AFTERCALL_SECRET_<SOURCE>.
    """
    try:
        counted = count_recording(file)
        for source in sorted(counted):
            _say_if_unsigned(source, counted[source])
        report = with_bar(replay(file, reverse=reverse), counted.total(), url, clients, rate, speed)
    except (RecordingError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    _conclude(report)


@click.command("simulate")
@click.option("--calls", default=200, show_default=True, help="How many calls.")
@click.option("--rate", default=2.0, show_default=True, help="Calls that end per second.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same calls.")
@click.option("--url", default=_default_url, help="Base URL of the receiver.", show_default="receiver's bind")
@click.option("--clients", default=16, show_default=True, help="Connections at the same time.")
def simulate_command(calls: int, rate: float, seed: int, url: str, clients: int) -> None:
    """Invent calls and post their events as they happen.

    Their actions go where the settings send them: to real systems, unless every channel is at `preview`.
    """
    start = datetime.now(UTC)
    deliveries = list(simulate(calls, seed, start, rate=rate))
    _conclude(with_bar(deliveries, len(deliveries), url, clients, speed=1.0, since=start))


def with_bar(
    deliveries: Iterable[Delivery],
    total: int,
    url: str,
    clients: int,
    rate: float | None = None,
    speed: float | None = None,
    since: datetime | None = None,
) -> PostReport:
    """Post with a progress bar on standard error."""
    from rich.console import Console

    columns = (TextColumn("posting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("posting", total=total)
        return post_all(
            deliveries,
            url,
            clients=clients,
            secrets=_secrets(),
            progress=lambda done: bar.update(task, completed=done),
            rate=rate,
            speed=speed,
            since=since,
        )


def _secrets() -> dict[str, str]:
    """The newest secret of every source that has one, from the environment and `.env` as the receiver reads them."""
    settings = ReceiverSettings()
    return {name: secrets[0] for name in SOURCES if (secrets := settings.secrets_for(name))}


def _say_if_unsigned(source: str, deliveries: int) -> None:
    reason = why_unsigned(source) if source in _secrets() else None
    if reason is not None:
        click.echo(
            f"{source}: {deliveries} sent unsigned, which a receiver with a secret refuses: {reason}",
            err=True,
        )


def _conclude(report: PostReport) -> None:
    click.echo(
        f"{report.accepted} of {report.sent} accepted in {report.seconds:.1f} s; "
        f"p50 {report.p50_ms:.1f} ms, p99 {report.p99_ms:.1f} ms"
    )
    for problem in report.problems:
        click.echo(f"  {problem}", err=True)
    if report.refused or report.errors:
        raise click.ClickException(f"{report.refused} refused, {report.errors} without an answer")
