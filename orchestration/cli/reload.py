"""`aftercall reload`: load a window of the landing store again, then build the events that came back."""

from datetime import UTC, datetime

import click

from orchestration.cli.times import MOMENT
from orchestration.config import OrchestrationSettings


@click.command("reload")
@click.option(
    "--since", type=MOMENT, required=True, help="Received from this time on (ISO 8601; UTC if no zone)."
)
@click.option("--until", type=MOMENT, help="Received before this time.", show_default="now")
@click.option(
    "--build/--no-build",
    default=True,
    show_default=True,
    help="Run a pass if rows came back, or leave them to the next pass.",
)
def reload_command(since: datetime, until: datetime | None, build: bool) -> None:
    """Load a window of the landing store again: events that the warehouse lost come back, the others stay."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from integrations.config import IntegrationSettings
    from orchestration.load.window import Window
    from orchestration.runtime import in_process
    from orchestration.tools.reload import reload
    from orchestration.warehouse import WarehouseBusy

    settings, console = OrchestrationSettings(), Console(stderr=True)
    until = until or datetime.now(UTC)
    if since >= until:
        raise click.UsageError(f"--since {since.isoformat()} is not before --until {until.isoformat()}")
    columns = (TextColumn("loading again"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("loading again", total=None)
            report = reload(
                settings,
                Window(since, until),
                lambda done, total: bar.update(task, completed=done, total=total),
            )
        events, rejected = report.rows["call_events"], report.rows["rejected_lines"]
        click.echo(
            f"{events} missing events and {rejected} rejected lines came back "
            f"out of {report.read_bytes} bytes, in {report.seconds:.1f} s"
        )
        if events and build:
            with console.status("build, act, publish"):
                from orchestration.definitions import defs, next_job

                in_process.run_until_done(
                    settings, IntegrationSettings(), defs.get_repository_def(), next_job, console.log
                )
        elif events:
            click.echo("the next pass rebuilds everything; start it with: aftercall run")
    except (in_process.PassFailed, WarehouseBusy) as error:
        raise click.ClickException(str(error)) from error
