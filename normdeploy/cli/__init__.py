"""The command line: parse, call the library, render. One file per verb."""

from normdeploy.cli.app import main

__all__ = ["main"]
