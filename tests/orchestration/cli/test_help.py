"""The help of every command: nothing is cut off, every option says what it is and what it is by default."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestration.cli import main


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, *path, name)


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_the_list_of_commands_is_not_cut_off(columns: str) -> None:
    told = CliRunner(env={"COLUMNS": columns}).invoke(main, ["--help"])
    assert told.exit_code == 0
    listed = told.output.partition("Commands:")[2]
    assert "..." not in listed
    assert all(f"\n  {path[0]} " in listed for path, _ in commands(main) if len(path) == 1)


def test_every_option_says_what_it_is_and_what_holds_without_it() -> None:
    bare = []
    for path, command in commands(main):
        told = CliRunner().invoke(main, [*path, "--help"], terminal_width=200)
        assert told.exit_code == 0, told.output
        for option in (one for one in command.params if isinstance(one, click.Option)):
            has_default = callable(option.default) or isinstance(option.default, int | float | str | Path)
            is_switch = option.is_flag and not option.secondary_opts
            if not option.help or (has_default and not is_switch and not option.show_default):
                bare.append((*path, option.name))
        if not (command.help or "").strip():
            bare.append(path)
    assert bare == []
