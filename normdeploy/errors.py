"""What can go wrong, as a tree, and the exit code of each.

NormdeployError              2  base of every error that normdeploy raises on purpose
├── UsageError               2  an argument or an option that makes no sense
├── InputError               2  input arrays that do not fit the model
├── ModelError               2  a file that is not a model we accept
│   ├── UnsupportedOperator  2  a valid model with an operator that the reference does not compute
│   └── BudgetExceeded       2  a model that takes more time or memory than it is allowed
├── ConventionError          2  a normalization that another framework's parameters cannot express
├── ExportError              2  a module that cannot be exported as it stands
├── MissingDependencyError   3  an optional package that is not installed; the message has the install line
├── PluginUnavailable        3  the plugin library, its source or what building it takes is not there
└── BackendFailure           3  a backend that gave no result
    ├── BackendUnavailable   3  it cannot work on this machine; the message says why
    ├── BackendCrashed       3  its process ended, or it refused the model or the inputs
    └── BackendTimeout       3  it took longer than the time limit

2 is what the user gave, 3 what the machine lacks or a backend does. Each message is one line that names what
is wrong, shows the value and says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import ClassVar, Literal

FailureStatus = Literal["crashed", "timeout", "unavailable"]


class ExitCode(IntEnum):
    """What a command's exit code means; the worst outcome decides."""

    PASSED = 0
    FAILED = 1
    """Numbers are wrong, or a gate that was asked for is missed."""
    BAD_INPUT = 2
    UNAVAILABLE = 3
    """A backend that was asked for failed, or something that the command needs is not here."""
    INTERNAL = 70
    """A defect of normdeploy itself (EX_SOFTWARE in sysexits.h)."""
    INTERRUPTED = 130
    """Ctrl-C: 128 + SIGINT, as shells count."""


class NormdeployError(Exception):
    """Base class of every error that normdeploy raises on purpose."""


class UsageError(NormdeployError, ValueError):
    """An argument or an option makes no sense."""


class InputError(NormdeployError):
    """Input arrays do not fit the model: wrong names, shapes or types."""


class ModelError(NormdeployError):
    """The model is malformed, truncated, hostile or beyond what this machine can hold."""


class UnsupportedOperator(ModelError):
    """The NumPy reference has no implementation of an operator in the model."""


class BudgetExceeded(ModelError):
    """Work on a model takes more time or memory than it is allowed."""


class ConventionError(NormdeployError):
    """A normalization cannot be expressed in another framework's parameters."""


class ExportError(NormdeployError):
    """A torch module cannot be exported as it stands."""


class MissingDependencyError(NormdeployError):
    """An optional package is not installed.

    Args:
        package: the distribution's name on PyPI.
        extra: the extra of normdeploy that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: run  pip install 'normdeploy[{extra}]'")
        self.package = package
        self.extra = extra


class PluginUnavailable(NormdeployError):
    """The plugin library is not built, or something that building it takes is missing."""


class BackendFailure(NormdeployError):
    """A backend gave no result; raised as one of its subclasses.

    Args:
        reason: one line.
        log: the last lines that its process wrote.

    Attributes:
        status: how it failed, as reports name it.
    """

    status: ClassVar[FailureStatus]

    def __init__(self, reason: str, log: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.log = tuple(log)


class BackendUnavailable(BackendFailure):
    """A backend cannot work on this machine."""

    status = "unavailable"


class BackendCrashed(BackendFailure):
    """A backend's process ended, or it refused the model or the inputs."""

    status = "crashed"


class BackendTimeout(BackendFailure):
    """A backend took longer than the time limit."""

    status = "timeout"


EXIT_CODES: Mapping[type[BaseException], ExitCode] = {
    NormdeployError: ExitCode.BAD_INPUT,
    MissingDependencyError: ExitCode.UNAVAILABLE,
    PluginUnavailable: ExitCode.UNAVAILABLE,
    BackendFailure: ExitCode.UNAVAILABLE,
    RecursionError: ExitCode.BAD_INPUT,
    MemoryError: ExitCode.BAD_INPUT,
    KeyboardInterrupt: ExitCode.INTERRUPTED,
}
"""Exception -> exit code. A subclass has that of its nearest base here; anything else is INTERNAL."""


def exit_code(error: BaseException) -> ExitCode:
    """The exit code of a command that ends with this exception."""
    found = (EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
    return next(found, ExitCode.INTERNAL)


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to say to a name that is none of the known ones: the nearest of them, or all.

    Args:
        name: what was given.
        known: every name there is.
    """
    from difflib import get_close_matches  # only where something is wrong already

    listed = list(known)
    nearest = get_close_matches(name, listed, n=2)
    if nearest:
        return f"did you mean {' or '.join(repr(found) for found in nearest)}?"
    return f"choose from {', '.join(listed)}"
