"""`aftercall run`: passes without a daemon, and a summary of their results."""

from collections import Counter
from datetime import UTC, datetime

import click

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import DEAD, SENT, SKIPPED, UNSETTLED, open_outbox
from orchestration.config import OrchestrationSettings


@click.command("run")
@click.option("--all", "full_refresh", is_flag=True, help="Rebuild every model and compare every due action.")
@click.option("--dry-run", is_flag=True, help="Send nothing; show what would happen to due actions.")
@click.option(
    "--limit", default=200, show_default=True, help="Most actions per channel that a dry run looks at."
)
def run_command(full_refresh: bool, dry_run: bool, limit: int) -> None:
    """Run one pass without a daemon: load, build, act and publish, until nothing is due."""
    if dry_run:
        from orchestration.cli.dry_run import show

        show(limit)
        return
    from rich.console import Console

    from orchestration.runtime import in_process, signals
    from orchestration.warehouse import WarehouseBusy

    console, began = Console(stderr=True), datetime.now(UTC)
    with signals.ended_by_signals() as heard, console.status("load, build, act, publish"):
        try:
            from orchestration.definitions import defs, next_job

            count = in_process.run_until_done(
                OrchestrationSettings(),
                IntegrationSettings(),
                defs.get_repository_def(),
                lambda: next_job(full_refresh),
                console.log,
                heard.check,
            )
        except (in_process.PassFailed, WarehouseBusy) as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("stopped; the next run goes on where this one was", err=True)
            raise SystemExit(heard.exit_code()) from None
    _conclude(f"done after {count} pass{'es' if count > 1 else ''}", began)


def _conclude(done: str, began: datetime) -> None:
    """Print what was sent, what waits and why, and what needs a person."""
    import dagster as dg

    from orchestration.cli.attention import show_attention, show_waiting
    from orchestration.monitoring.paused_sensors import is_paused

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
