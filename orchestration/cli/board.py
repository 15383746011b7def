"""`aftercall board`: run the live board."""

import click

from integrations.board.server import serve


@click.command("board")
def board_command() -> None:
    """Run the live board alone, in the foreground."""
    serve()
