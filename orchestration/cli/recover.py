"""`aftercall recover`: find the calls whose webhooks were lost, and import history."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from orchestration.cli.times import MOMENT
from orchestration.config import OrchestrationSettings

if TYPE_CHECKING:
    from rich.progress import Progress

    from orchestration.recovery.config import RecoverySettings
    from orchestration.recovery.platform import Bounds
    from orchestration.recovery.recover import RecoveryReport


@click.command("recover")
@click.option("--source", "sources", multiple=True, help="A platform; default: all with an API key.")
@click.option(
    "--since",
    type=MOMENT,
    help="Calls created from this time on (ISO 8601; UTC if no zone); default: since the last recovery.",
)
@click.option("--until", type=MOMENT, help="Calls created before this time.", show_default="now")
@click.option("--again", is_flag=True, help="With --since: list days again that were imported before.")
@click.option("--dry-run", is_flag=True, help="List and compare only; land nothing.")
def recover_command(
    sources: Sequence[str], since: datetime | None, until: datetime | None, again: bool, dry_run: bool
) -> None:
    """Land the calls that a platform lists and whose webhooks were lost; with --since, import history day by day.

    Safe to repeat and to interrupt: an import skips the whole days that Dagster shows as imported, and nothing lands
    twice. The next pass acts on the calls that landed, except those that are too old.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from orchestration.recovery.api_client import RecoveryFailed
    from orchestration.recovery.config import RecoverySettings
    from orchestration.warehouse import WarehouseBusy
    from receiver.landing import LandingUnavailable

    settings, recovery = OrchestrationSettings(), RecoverySettings()
    chosen = _chosen(sources, recovery)
    bounds = _bounds(since, until)
    failures = []
    columns = (
        TextColumn("{task.fields[source]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        for source in chosen:
            try:
                report = _one(settings, recovery, source, bounds, again, dry_run, bar)
            except (RecoveryFailed, LandingUnavailable, WarehouseBusy) as error:
                failures.append(str(error))
                continue
            verb = "to recover" if dry_run else f"of which {report.landed} events were landed"
            click.echo(f"{source}: {report.listed} calls listed, {report.missing} incomplete, {verb}")
            for day in report.days:
                if day.loss_percent:
                    lost = day.listed - day.received
                    click.echo(
                        f"  {day.day}: {lost} of {day.listed} without their webhooks ({day.loss_percent:.1f} %)"
                    )
    if failures:
        raise click.ClickException("\n".join(failures))


def _one(
    settings: OrchestrationSettings,
    recovery: "RecoverySettings",
    source: str,
    bounds: "Bounds | None",
    again: bool,
    dry_run: bool,
    bar: "Progress",
) -> "RecoveryReport":
    import dagster as dg

    from orchestration.recovery.recover import import_history, recover
    from orchestration.runtime import instance

    task = bar.add_task("listing", total=None, source=source)

    def calls(stage: str, done: int, total: int | None) -> None:
        if bounds is None:
            bar.update(task, description=stage, completed=done, total=total)
        else:
            bar.update(task, description=f"days; {stage} {done} calls" + (f" of {total}" if total else ""))

    def days(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    if bounds is None:
        return recover(settings, recovery, source, None, calls, dry_run)
    instance.prepare(settings)
    with dg.DagsterInstance.get() as dagster:
        return import_history(settings, recovery, source, bounds, dagster, days, calls, dry_run, again)


def _chosen(sources: Sequence[str], recovery: "RecoverySettings") -> list[str]:
    from orchestration.recovery import PLATFORMS
    from orchestration.recovery.config import KEY_PREFIX

    if unknown := set(sources) - set(PLATFORMS):
        names = ", ".join(sorted(PLATFORMS))
        raise click.UsageError(
            f"{', '.join(sorted(unknown))}: no platform whose calls can be listed; {names} can"
        )
    chosen = list(sources) or [name for name in PLATFORMS if recovery.key_of(name)]
    if not chosen:
        raise click.UsageError(f"no API key is set; {KEY_PREFIX}<SOURCE>, as docs/recovery.md says")
    return chosen


def _bounds(since: datetime | None, until: datetime | None) -> "Bounds | None":
    from orchestration.recovery.platform import Bounds

    if since is None:
        if until is not None:
            raise click.UsageError("--until needs --since")
        return None
    until = until or datetime.now(UTC)
    if since >= until:
        raise click.UsageError(f"--since {since.isoformat()} is not before --until {until.isoformat()}")
    return Bounds(since, until)
