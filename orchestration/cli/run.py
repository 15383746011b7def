"""`aftercall run`: load, build, act and publish once, with no daemon; and what came of it."""

from collections import Counter
from datetime import UTC, datetime

import click

from integrations.config import IntegrationSettings
from integrations.outbox import DEAD, SENT, SKIPPED, UNSETTLED, open_outbox
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

    from orchestration.runtime import in_process, signals
    from orchestration.warehouse import duckdb_file

    console, began = Console(stderr=True), datetime.now(UTC)
    with signals.ended_by_signals() as heard, console.status("load, build, act, publish"):
        try:
            count = in_process.run_until_done(
                OrchestrationSettings(), IntegrationSettings(), console.log, everything, heard.check
            )
        except (in_process.PassFailed, duckdb_file.WarehouseBusy) as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("stopped; the next run goes on where this one was", err=True)
            raise SystemExit(heard.exit_code()) from None
    _conclude(f"done after {count} pass{'es' if count > 1 else ''}", began)


def _conclude(done: str, began: datetime) -> None:
    """Say what was sent, what waits and why, and what needs a person."""
    import dagster as dg

    from orchestration.cli.attention import show_attention, show_waiting
    from orchestration.defs.assets.channels import CHANNELS, is_paused

    settings = IntegrationSettings()
    with open_outbox(settings.outbox_url) as outbox, dg.DagsterInstance.get() as instance:
        paused = {
            channel: f"the channel is paused; to go on, start {channel}_sensor in the Dagster UI"
            for channel in CHANNELS
            if is_paused(instance, channel)
        }
        became: Counter[str] = Counter()
        for row in outbox.counts(since=began):
            became[row.status] += row.actions
        settled = [f"{became[status]} {status}" for status in (SENT, SKIPPED, DEAD) if became[status]]
        waits = sum(row.actions for row in outbox.counts() if row.status in UNSETTLED)
        rest = f"{waits} wait" if waits else "nothing is due"
        click.echo(f"{done}: {', '.join(settled) or 'nothing was sent'}; {rest}")
        show_waiting(outbox, paused)
        show_attention(outbox, settings)
