"""`aftercall board`: run the live board."""

import click

from integrations.board.access import refuse_open
from integrations.board.config import BoardSettings
from integrations.board.server import serve


@click.command("board")
@click.option(
    "--address",
    "only_address",
    is_flag=True,
    help="Print the addresses of the board and of Dagster, and end.",
)
def board_command(only_address: bool) -> None:
    """Run the live board alone, in the foreground.

    Where no password is set, the printed address carries the token that the board asks for.
    """
    from orchestration.tools import processes

    refuse_open(BoardSettings())
    pages = processes.pages()
    if only_address:
        for name, url in pages.items():
            click.echo(f"{name:<10}{url}")
        return
    click.echo(f"board     {pages['board']}")
    serve()
