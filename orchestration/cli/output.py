"""How commands print: a table on a terminal, one line per row elsewhere, and nothing is ever cut.

Long values fold in a table, because a person has to type a key again. Without a terminal a row is one line, with tabs
between the fields. The commands decide what is printed.
"""

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from integrations.rendering import line

WHOLE = 1_000_000
"""Characters: longer than any key, name or address, so none is cut."""
_SPACES = re.compile(r"\s+")


def is_terminal() -> bool:
    """True if a person reads the output; a pipe or a file is for programs."""
    return sys.stdout.isatty()


def whole(value: object) -> str:
    """A stranger's value as one line without control characters, of any length."""
    return line(value, WHOLE)


class Listing:
    """Rows under named columns.

    Args:
        columns: the names, which only a table shows.
        title: stands above the table.
        section: begins each line where there is no table, in a command that prints several listings.
    """

    def __init__(self, *columns: str, title: str = "", section: str = "") -> None:
        self._columns, self._title, self._section = columns, title, section
        self._rows: list[tuple[str | Text, ...]] = []

    def add(self, *cells: str | Text) -> None:
        """Append a row. Text is printed as it stands; it holds no markup."""
        self._rows.append(cells)

    def __len__(self) -> int:
        return len(self._rows)

    def show(self) -> None:
        """Print all rows to standard output; nothing where there are none."""
        if not self._rows:
            return
        if not is_terminal():
            section = [self._section] if self._section else []
            _write("\t".join([*section, *map(_field, row)]) for row in self._rows)
            return
        table = Table(title=self._title or None, title_justify="left", show_header=any(self._columns))
        if not any(self._columns):
            table = Table.grid(padding=(0, 2))
        for name in self._columns:
            table.add_column(name, overflow="fold")
        for row in self._rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
        Console().print(table)


def say(text: str, style: str = "") -> None:
    """Print a sentence; a terminal breaks it by itself, so that what is copied has no breaks."""
    if is_terminal():
        Console(soft_wrap=True, highlight=False).print(Text(text, style))
    else:
        click.echo(text)


def say_json(value: Any) -> None:
    """Print one JSON value, as a program reads it."""
    click.echo(json.dumps(value, indent=2))


def _field(cell: str | Text) -> str:
    """A cell as a field of a line: tabs and line breaks become spaces."""
    return _SPACES.sub(" ", str(cell)).strip()


def _write(lines: Iterable[str]) -> None:
    for each in lines:
        click.echo(each)
