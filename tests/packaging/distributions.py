"""What `python -m build` and pip make of this repository, and running what they made."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from normdeploy._version import __version__

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Distributions:
    """What `python -m build` writes.

    Attributes:
        tracked: the files that git tracks, relative to the root of the repository.
        sdist: built from these.
        wheel: built from the sdist.
        wheel_from_clone: built without the sdist between.
    """

    tracked: frozenset[str]
    sdist: Path
    wheel: Path
    wheel_from_clone: Path


@dataclass(frozen=True)
class Installation:
    """normdeploy in a folder, as `pip install --target` puts it."""

    folder: Path

    def run(self, *command: str | Path) -> str:
        """Run a command far from any clone, with that folder on Python's path; return what it prints."""
        return run(command, cwd=Path("/"), PYTHONPATH=str(self.folder), PYTHONDONTWRITEBYTECODE="1")


def run(command: Sequence[str | Path], cwd: Path, **variables: str) -> str:
    """Run a command that has to succeed, and return what it prints."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def members(wheel: Path) -> dict[str, bytes]:
    """The files in a wheel and what they hold."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def dist_info(wheel: Path, name: str) -> bytes:
    """One of the files that describe the wheel."""
    return members(wheel)[f"normdeploy-{__version__}.dist-info/{name}"]
