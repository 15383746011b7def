"""`aftercall run`: load, build, act and publish once, with no daemon."""

import click

from integrations.config import IntegrationSettings
from orchestration.config import OrchestrationSettings


@click.command("run")
@click.option("--all", "everything", is_flag=True, help="Compare every due action, not only the new ones.")
@click.option("--dry-run", is_flag=True, help="Send nothing: say what would happen to what is due now.")
@click.option(
    "--limit", default=200, show_default=True, help="Most actions of a channel that a dry run looks into."
)
def run_command(everything: bool, dry_run: bool, limit: int) -> None:
    """One pass without a daemon: load, build, act, publish, until nothing is due."""
    if dry_run:
        from orchestration.cli.dry_run import show

        show(limit)
        return
    from rich.console import Console

    from orchestration import passes, signals, warehouse

    console = Console(stderr=True)
    with signals.ended_by_signals() as heard, console.status("load, build, act, publish"):
        try:
            count = passes.run_until_done(
                OrchestrationSettings(), IntegrationSettings(), console.log, everything, heard.check
            )
        except (passes.PassFailed, warehouse.WarehouseBusy) as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("stopped; the next run goes on where this one was", err=True)
            raise SystemExit(heard.exit_code()) from None
    click.echo(f"done after {count} pass{'es' if count > 1 else ''}; nothing is due")
