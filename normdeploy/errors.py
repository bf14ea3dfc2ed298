"""What can go wrong, as a tree.

NormdeployError
├── UsageError               an argument or an option that makes no sense
├── InputError               input arrays that do not fit the model
├── ModelError               a file that is not a model we accept
│   └── UnsupportedOperator  a valid model with an operator that the reference does not compute
├── ConventionError          a normalization that another framework's parameters cannot express
├── ExportError              a module that cannot be exported as it stands
├── MissingDependencyError   an optional package that is not installed; the message has the install line
└── BackendUnavailable       a runtime that cannot work on this machine; the message says why

Each message is one line that names what is wrong, shows the value and says what to do.
"""

from __future__ import annotations


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


class BackendUnavailable(NormdeployError):
    """A backend cannot work on this machine."""
