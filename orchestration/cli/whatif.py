"""`aftercall whatif`: try a change of rule on history, and see which calls and actions would differ.

How it is tried belongs to `orchestration/tools/whatif/`, how it is printed to `whatif_tables`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration.cli.output import say_json
from orchestration.cli.times import MOMENT
from orchestration.config import DBT_PROJECT, OrchestrationSettings

if TYPE_CHECKING:
    from orchestration.load.window import Window
    from orchestration.tools.whatif import Change, Report

_PROJECT_FILE = "dbt_project.yml"


@click.command("whatif")
@click.option(
    "--since",
    type=MOMENT,
    required=True,
    help="Calls whose first event came from this time on (ISO 8601; UTC if no zone).",
)
@click.option(
    "--until", type=MOMENT, help="Calls whose first event came before this time.", show_default="now"
)
@click.option(
    "--vars",
    "texts",
    multiple=True,
    metavar="YAML",
    help="Another value for vars of the dbt project: 'unhappy_max_score: 3' or unhappy_max_score=3; repeatable.",
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="An edited copy of dbt_project/, to try seeds and SQL.",
)
@click.option(
    "--limit", default=10, show_default=True, help="Most calls, and most actions, to show one by one."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.option("--keep", is_flag=True, help="Keep the scratch warehouse and print its path.")
def whatif_command(
    since: datetime,
    until: datetime | None,
    texts: Sequence[str],
    project: Path | None,
    limit: int,
    as_json: bool,
    keep: bool,
) -> None:
    """Try a changed rule on history before it acts: show which calls and actions would differ.

    Builds the calls of a window in a scratch warehouse, once as configured and once as proposed. Nothing is sent, and
    the warehouse is only read, for the time of a copy.
    """
    from orchestration.load.window import Window

    window = Window(since, until or datetime.now(UTC))
    if window.since >= window.until:
        raise click.UsageError(
            f"--since {window.since.isoformat()} is not before --until {window.until.isoformat()}"
        )
    change = _change(texts, project)
    report = _tried(change, window, limit, keep)
    if as_json:
        say_json(_as_json(change, window, report))
    else:
        from orchestration.cli.whatif_tables import show

        show(report, window)


def _tried(change: "Change", window: "Window", limit: int, keep: bool) -> "Report":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from integrations.config import IntegrationSettings
    from orchestration.tools.whatif import NothingToCompare, try_out
    from orchestration.warehouse import WarehouseBusy, dbt

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("waiting for the warehouse", total=None)
            return try_out(
                OrchestrationSettings(),
                IntegrationSettings(),
                change,
                window,
                limit=limit,
                keep=keep,
                step=lambda what, done, total: bar.update(
                    task, description=what, completed=done, total=total or None
                ),
            )
    except (NothingToCompare, WarehouseBusy) as error:
        raise click.ClickException(str(error)) from error
    except dbt.BuildFailed as error:
        raise click.ClickException(f"dbt could not build it:\n{error}") from error


def _change(texts: Sequence[str], project: Path | None) -> "Change":
    """What is proposed. Raises click's error for no change, no project, and vars that the project does not have."""
    from orchestration.tools.whatif import Change
    from orchestration.warehouse import dbt

    if not texts and project is None:
        raise click.UsageError(
            "say what would be different: --vars 'unhappy_max_score: 3', or --project PATH"
        )
    if project is not None and not (project / _PROJECT_FILE).is_file():
        raise click.UsageError(f"--project {project}: no dbt project, it has no {_PROJECT_FILE}")
    variables: dict[str, Any] = {}
    for text in texts:
        variables |= _variables(text)
    known = dbt.known_vars(project or DBT_PROJECT)
    if unknown := sorted(set(map(str, variables)) - known):
        raise click.UsageError(
            f"--vars {', '.join(unknown)}: the project has no such var; it has {', '.join(sorted(known))}"
        )
    return Change(variables, project)


def _variables(text: str) -> dict[str, Any]:
    """One --vars, as dbt reads it or as NAME=VALUE."""
    from orchestration.warehouse import dbt

    name, equals, value = text.partition("=")
    try:
        read = dbt.parse_yaml(text)
        if isinstance(read, dict):
            return read
        if equals and name.strip().isidentifier():
            return {name.strip(): dbt.parse_yaml(value)}
    except dbt.NotYaml as error:
        raise click.UsageError(f"--vars {text!r} is no YAML: {error}") from error
    raise click.UsageError(
        f"--vars {text!r} names no var; write 'unhappy_max_score: 3' or unhappy_max_score=3"
    )


def _as_json(change: "Change", window: "Window", report: "Report") -> dict[str, Any]:
    return {
        "since": window.since.isoformat(),
        "until": window.until.isoformat(),
        "vars": change.variables,
        "project": str(change.project) if change.project else None,
        "calls": report.calls,
        "kept": str(report.folder) if report.folder else None,
        "differences": asdict(report.differences),
    }
