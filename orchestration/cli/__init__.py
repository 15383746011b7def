"""The command line, assembled from one small module per command.

Commands import what they need when they run, so that `aftercall --help` answers at once.
"""

import importlib

import click

_COMMANDS = {
    "init": "orchestration.cli.home",
    "up": "orchestration.cli.up",
    "connect": "orchestration.cli.connect",
    "receiver": "orchestration.cli.up",
    "board": "orchestration.cli.board",
    "run": "orchestration.cli.run",
    "replay": "orchestration.cli.traffic",
    "simulate": "orchestration.cli.traffic",
    "landing": "orchestration.cli.landing",
    "reload": "orchestration.cli.reload",
    "quarantine": "orchestration.cli.quarantine",
    "recover": "orchestration.cli.recover",
    "trace": "orchestration.cli.trace",
    "whatif": "orchestration.cli.whatif",
    "actions": "orchestration.cli.actions",
    "check": "orchestration.cli.check",
    "doctor": "orchestration.cli.doctor",
    "demo": "orchestration.cli.demo",
}
_WHOLE = 1_000


class _Lazy(click.Group):
    """Looks a command up by name and imports its module only then."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None for an unknown name."""
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(importlib.import_module(module), f"{cmd_name}_command")
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first sentence of each command, wrapped where click would cut it off."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(_WHOLE)) for name, one in commands if one])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="aftercall")
def main() -> None:
    """After-call work for voice agents: webhooks come in; tickets, mails, CRM records and numbers come out."""
