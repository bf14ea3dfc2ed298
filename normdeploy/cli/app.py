"""The `normdeploy` command: finds the verb, and turns every error into one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import TypeGuard

import click

from normdeploy._version import __version__
from normdeploy.cli.configuration import configuration
from normdeploy.cli.deferred_imports import deferred
from normdeploy.cli.group import Group
from normdeploy.cli.verb import CONFIGURATION
from normdeploy.errors import ExitCode, exit_code
from normdeploy.printable import printable
from normdeploy.signals import Ended, raised

VERBS = {
    "build": "Build a TensorRT engine, with a record of what went into it.",
    "check": "Compare what backends make of a model with the NumPy reference.",
    "doctor": "Say what is installed, which backends work here, and how to fix the others.",
    "export": "Write a torch model as ONNX.",
    "inspect": "Inputs, weights, operators; every normalization layer, and where it can run.",
    "optimize": "Fold BatchNorm, recover LRN and tidy up an ONNX model, and verify the result.",
    "plugin": "Build the TensorRT plugin library; say where it is and what it holds.",
    "profile": "Time a model in each backend: latency, layers, comparisons.",
    "reduce": "Write the smallest file that still fails, with its data and a text for an issue.",
}
"""Verb -> its line in the help. Each is the command `command` of the module of its name, imported on use."""

TRACEBACK = "NORMDEPLOY_TRACEBACK"
"""With this variable at 1, an internal error shows where it happened."""

_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
_BROKEN_PIPE = 128 + signal.SIGPIPE


class _Verbs(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"normdeploy.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="normdeploy %(version)s")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Take networks with LRN and BatchNorm to ONNX and TensorRT, and prove that they compute the same."""
    found = configuration()
    if found is not None:
        ctx.default_map = found.defaults(ctx)
        ctx.meta[CONFIGURATION] = found.path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; nothing escapes as a traceback."""
    _open_what_is_closed()
    if not _writes_anything():
        _say("standard output is closed: send it to /dev/null if nobody is to read it")
        return ExitCode.BAD_INPUT
    stdout = sys.stdout
    try:
        with raised(), deferred():
            returned: object = app.main(arguments, prog_name="normdeploy", standalone_mode=False)
        sys.stdout.flush()
        return returned if isinstance(returned, int) else ExitCode.PASSED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.BAD_INPUT
    except click.ClickException as error:
        _say(_usage_message(error))
        return ExitCode.BAD_INPUT
    except Ended as error:
        return 128 + error.number
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and sys.stdout is stdout:
            raise
        _discard_output()  # whoever read it has gone: click wraps standard output then, and exits with 1
        return _BROKEN_PIPE
    except Exception as error:
        if _is_of_output(error):
            _discard_output()
            _say(f"standard output cannot be written ({error.strerror})")
            return ExitCode.BAD_INPUT
        code = ExitCode.BAD_INPUT if _is_of_file(error) else exit_code(error)
        if code == ExitCode.INTERNAL and os.environ.get(TRACEBACK) == "1":
            traceback.print_exc()
        _say(_message(error, code))
        return code


def _message(error: Exception, code: ExitCode) -> str:
    if _is_of_file(error):
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if code == ExitCode.INTERNAL:
        return f"internal error, please report it: {type(error).__name__}: {error}"
    if isinstance(error, RecursionError):
        return "the model is nested too deeply"
    if isinstance(error, MemoryError):
        return f"out of memory{f' ({error})' if str(error) else ''}: use a smaller model or shape"
    return str(error)


def _usage_message(error: click.ClickException) -> str:
    """What click refuses, in the form of our own errors."""
    message = error.format_message()
    message = message[:1].lower() + message[1:]
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return message
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} See {error.ctx.command_path} --help"


def _say(message: str) -> None:
    click.echo(printable(f"error: {' '.join(message.split())}"), err=True)


def _open_what_is_closed() -> None:
    """Open standard input and error where they are closed: a file would take their numbers.

    What libraries write to standard error would then go into that file.
    """
    for descriptor in (0, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for as long as the process runs


def _writes_anything() -> bool:
    """Take care that no character of a file's names is one that standard output has no code for."""
    if sys.stdout is None:
        return False
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return True


def _is_of_output(error: Exception) -> TypeGuard[OSError]:
    """Whether an error is standard output's: those of files have the file's name."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_ERRORS


def _is_of_file(error: Exception) -> TypeGuard[OSError]:
    """Whether an error is that of a file or a folder, which the user or the machine gave us."""
    return isinstance(error, OSError) and isinstance(error.filename, str | bytes)


def _discard_output() -> None:
    """Send what still waits to be written to nowhere, as Python would try it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
