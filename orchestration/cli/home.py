"""`aftercall init`: create the state directory and the raw tables, and point `dagster dev` at them."""

from pathlib import Path

import click
from dotenv import dotenv_values

from orchestration.config import OrchestrationSettings
from orchestration.load.tables import ensure_tables
from orchestration.runtime import instance
from orchestration.warehouse import dbt, open_warehouse
from receiver import private


@click.command("init")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    default=Path(".env"),
    show_default=True,
    help="File that gets DAGSTER_HOME, unless it has an entry.",
)
def init_command(env_file: Path) -> None:
    """Create the state directory with an empty warehouse, and write DAGSTER_HOME to .env; safe to repeat."""
    settings = OrchestrationSettings()
    private.prepare(settings.home)
    config = instance.prepare(settings)
    instance.remember(settings, env_file)
    dbt.ensure_manifest(settings)
    with open_warehouse(settings).writing():
        ensure_tables(settings)
    click.echo(f"state directory {settings.home}; Dagster instance {config}")
    dagster_home = dotenv_values(env_file).get("DAGSTER_HOME")
    if dagster_home and Path(dagster_home) != settings.dagster:
        click.echo(f"`dagster dev` will use {dagster_home}, the DAGSTER_HOME in {env_file}", err=True)
