"""The `normdeploy` command: finds the verb, and turns every error into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

import click

from normdeploy import __version__
from normdeploy.cli.exit_codes import BAD_INPUT, INTERRUPTED
from normdeploy.errors import NormdeployError

VERBS = {
    "build": "Build a TensorRT engine, with a record of what went into it.",
    "check": "Compare what backends make of a model with the NumPy reference.",
    "doctor": "Say what is installed, which backends work here, and how to fix the others.",
    "export": "Write a torch model as ONNX.",
    "inspect": "List every normalization layer: parameters, trainable count, where it can run.",
    "optimize": "Fold BatchNorm, recover LRN and tidy up an ONNX model, and prove the result.",
    "plugin": "Build the TensorRT plugin library; say where it is and what it holds.",
    "profile": "Time a model in each backend: latency, layers, comparisons.",
}
"""Verb -> its line in the help. Each is the command `command` of the module of its name, imported on use."""


class _Verbs(click.Group):
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
def app() -> None:
    """Take networks with LRN and BatchNorm to ONNX and TensorRT, and prove that they compute the same."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; nothing escapes as a traceback."""
    try:
        code = app.main(arguments, prog_name="normdeploy", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone: nothing is left to say, not even when Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except NormdeployError as error:
        return _fail(str(error))
    except RecursionError:
        return _fail("the model is nested too deeply")
    except MemoryError as error:
        return _fail(f"out of memory{f' ({error})' if str(error) else ''}: use a smaller model or shape")
    except Exception as error:  # a defect of ours; the user still gets one line
        return _fail(f"internal error, please report it: {type(error).__name__}: {error}")


def _fail(message: str) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return BAD_INPUT
