"""`aftercall board`: run the live board."""

from functools import partial

import click

from integrations.board.access import refuse_open
from integrations.board.config import BoardSettings
from integrations.board.server import serve
from orchestration.config import OrchestrationSettings
from orchestration.tools.board_copy import BoardCopy
from orchestration.warehouse import open_warehouse


@click.command("board")
@click.option(
    "--address",
    "only_address",
    is_flag=True,
    help="Print the addresses of the board and of Dagster, and exit.",
)
@click.option(
    "--quiet", is_flag=True, help="Print no address: it carries the token, and a log would keep it."
)
def board_command(only_address: bool, quiet: bool) -> None:
    """Run the live board alone, in the foreground.

    Where no password is set, the printed address carries the token that the board asks for.
    """
    settings = BoardSettings()
    refuse_open(settings)
    if only_address or not quiet:
        from orchestration.tools import processes

        pages = processes.pages()
        if only_address:
            for name, url in pages.items():
                click.echo(f"{name:<10}{url}")
            return
        click.echo(f"board     {pages['board']}")
    home = OrchestrationSettings()
    serve(partial(BoardCopy, open_warehouse(home).published, home.dlt / "landing" / "state.json"), settings)


if __name__ == "__main__":  # how `aftercall up` starts it: without the other commands
    board_command()
