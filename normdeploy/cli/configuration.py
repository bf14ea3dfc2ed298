"""Defaults of options from a file: normdeploy.toml, or the table [tool.normdeploy] of a pyproject.toml.

    timeout = 60                        # of every verb that has the option

    [check]                             # of one verb
    backend = ["onnxruntime"]
    localize = true

A key is an option's long name. What the command line says outweighs the file. The file is the nearest one
from the working folder upwards; NORMDEPLOY_CONFIG names another one, or none where it is empty. Files that it
names are relative to its own folder.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from normdeploy.cli.options import CommaSeparated
from normdeploy.cli.verb import parameters
from normdeploy.errors import UsageError, suggestion

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE = "NORMDEPLOY_CONFIG"

_OWN = "normdeploy.toml"
_SHARED = "pyproject.toml"
_STDOUT = "-"


@dataclass(frozen=True)
class Configuration:
    """A file's defaults.

    Args:
        path: the file.
        table: what it says, as TOML has it.
    """

    path: Path
    table: Mapping[str, Any]

    def defaults(self, ctx: click.Context) -> dict[str, Any]:
        """The defaults of a group's commands, in the form of click's `default_map`.

        Every key has to be an option's; values are looked at for the command that is being run only.

        Args:
            ctx: of the group, of which a command is being run.

        Raises:
            UsageError: a key is no option, or a value none of its option's.
        """
        assert isinstance(ctx.command, click.Group)
        self._require_known(ctx, ctx.command, self.table, "")
        commands = dict(_commands(ctx, ctx.command))
        name = ctx.invoked_subcommand
        if name is None or name not in commands:
            return {}
        inherited = {key: value for key, value in self.table.items() if key not in commands}
        return {name: self._defaults(ctx, commands[name], inherited, self.table.get(name, {}), name)}

    def _require_known(
        self, ctx: click.Context, command: click.Command, table: object, where: str
    ) -> set[str]:
        """Check a command's table and those of its commands; return the names of all options in it."""
        if not isinstance(table, Mapping):
            raise UsageError(f"{self.path}: {where} has to be a table, [{where}]")
        commands = dict(_commands(ctx, command))
        known = set(_options(command))
        for name, each in commands.items():
            known |= self._require_known(ctx, each, table.get(name, {}), f"{where}.{name}".lstrip("."))
        for key in table:
            if key not in known and key not in commands:
                place = f" in [{where}]" if where else ""
                known_names = sorted({*known, *commands})
                raise UsageError(
                    f"{self.path}: there is no option '{key}'{place}: {suggestion(key, known_names)}"
                )
        return known

    def _defaults(
        self,
        ctx: click.Context,
        command: click.Command,
        inherited: Mapping[str, Any],
        table: Mapping[str, Any],
        where: str,
    ) -> dict[str, Any]:
        commands = dict(_commands(ctx, command))
        wanted = {**inherited, **{key: value for key, value in table.items() if key not in commands}}
        if commands:
            return {
                name: self._defaults(ctx, each, wanted, table.get(name, {}), f"{where}.{name}")
                for name, each in commands.items()
            }
        found = {}
        for key, option in _options(command).items():
            if key in wanted and option.name is not None:
                try:
                    found[option.name] = self._value(ctx, option, wanted[key])
                    option.type_cast_value(ctx, found[option.name])
                except click.BadParameter as error:
                    raise UsageError(f"{self.path}: {key} of {where}: {error.message}") from error
        return found

    def _value(self, ctx: click.Context, option: click.Option, value: object) -> object:
        """A value of the file as the command line would have it."""
        if option.is_flag:
            if not isinstance(value, bool):
                raise click.BadParameter(f"{value!r} is neither true nor false")
            return value
        joined = isinstance(option, CommaSeparated)
        if isinstance(value, list) and not option.multiple and not joined:
            raise click.BadParameter("takes one value, not a list")
        given = value if isinstance(value, list) else [value]
        texts = [self._text(ctx, option, each) for each in given]
        if joined:
            return ",".join(texts)
        return texts if option.multiple else texts[0]

    def _text(self, ctx: click.Context, option: click.Option, value: object) -> str:
        """A value as text; a file is looked for beside the configuration."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise click.BadParameter(f"{value!r} is neither text nor a number")
        if not any(item.type == "file" for item in option.shell_complete(ctx, "")):
            return str(value)
        if not isinstance(value, str):
            raise click.BadParameter(f"names a file: {value!r} has to be text, in quotes")
        return os.path.join(self.path.parent, value) if value != _STDOUT else value


def configuration() -> Configuration | None:
    """The file that holds here, read; None where there is none.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Configuration(Path(named), _table(Path(named)) or {}) if named else None
    for path in _candidates():
        table = _table(path)
        if table is not None:
            return Configuration(path, table)
    return None


def _candidates() -> Iterator[Path]:
    """Files of these names in the working folder and those above it, the nearest first."""
    try:
        here = Path.cwd()
    except OSError:  # it has been removed
        return
    for folder in (here, *here.parents):
        for name in (_OWN, _SHARED):
            if (folder / name).is_file() and _is_trusted(folder / name):
                yield folder / name


def _is_trusted(path: Path) -> bool:
    """False for a stranger's file in a folder that everybody may write to, such as /tmp.

    Options may name plugins and Python files, whose code is run.
    """
    return not path.parent.stat().st_mode & stat.S_IWOTH or path.stat().st_uid in (0, os.getuid())


def _table(path: Path) -> Mapping[str, Any] | None:
    """What a file says to normdeploy; None for a pyproject.toml that says nothing."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"{path}: is no TOML ({error})") from error
    if path.name != _SHARED:
        return document
    tools = document.get("tool")
    found = tools.get("normdeploy") if isinstance(tools, Mapping) else None
    if found is not None and not isinstance(found, Mapping):
        raise UsageError(f"{path}: tool.normdeploy has to be a table, [tool.normdeploy]")
    return found


def _commands(ctx: click.Context, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            if found is not None:
                yield name, found


def _options(command: click.Command) -> dict[str, click.Option]:
    """A command's options by their long names, --help aside."""
    return {
        flag.removeprefix("--"): option
        for option in parameters(command)
        if isinstance(option, click.Option) and not isinstance(command, click.Group)
        for flag in option.opts
        if flag.startswith("--")
    }
