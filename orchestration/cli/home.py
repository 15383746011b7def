"""`aftercall init`: make the state directory and the raw tables, and tell `dagster dev` where they are."""

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
    help="Where to write DAGSTER_HOME, unless it is said there already.",
)
def init_command(env_file: Path) -> None:
    """Make the state directory with an empty warehouse and write DAGSTER_HOME to .env; safe to repeat."""
    settings = OrchestrationSettings()
    private.prepare(settings.home)
    config = instance.prepare(settings)
    instance.remember(settings, env_file)
    dbt.ensure_manifest(settings)
    with open_warehouse(settings).writing():
        ensure_tables(settings)
    click.echo(f"state directory {settings.home}; Dagster instance {config}")
    told = dotenv_values(env_file).get("DAGSTER_HOME")
    if told and Path(told) != settings.dagster:
        click.echo(f"`dagster dev` will use {told}: {env_file} says so in DAGSTER_HOME", err=True)
