"""A group of commands that suggests the nearest one."""

from __future__ import annotations

import click

from normdeploy.cli.verb import Verb
from normdeploy.errors import suggestion


class Group(click.Group):
    """`normdeploy chekc`: there is no command 'chekc': did you mean 'check'?"""

    command_class = Verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names.

        Raises:
            click.UsageError: there is none.
        """
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            ctx.fail(f"there is no command '{name}': {suggestion(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)
