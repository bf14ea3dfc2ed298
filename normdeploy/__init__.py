"""Take networks with LRN and BatchNorm to ONNX and TensorRT, and prove that they still compute the same."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from normdeploy._version import __version__
from normdeploy.errors import (
    BackendCrashed,
    BackendFailure,
    BackendTimeout,
    BackendUnavailable,
    BudgetExceeded,
    ConventionError,
    ExportError,
    InputError,
    MissingDependencyError,
    ModelError,
    NormdeployError,
    PluginUnavailable,
    UnsupportedOperator,
    UsageError,
)

if TYPE_CHECKING:
    from normdeploy.batchnorm import batch_norm, batch_norm_train
    from normdeploy.diagnosis import Diagnosis, doctor
    from normdeploy.engine import EngineRecord, build
    from normdeploy.inputs.images import ImageOptions
    from normdeploy.inspection import ModelInspection, inspect
    from normdeploy.lrn import LRN, lrn
    from normdeploy.passes import OptimizationReport, Optimized, optimize
    from normdeploy.profiling import Profile, profile
    from normdeploy.reference import evaluate
    from normdeploy.torch.export import export
    from normdeploy.validation import CheckReport, check
    from normdeploy.validation.reduction import Reduction, reduce

__all__ = [
    "LRN",
    "BackendCrashed",
    "BackendFailure",
    "BackendTimeout",
    "BackendUnavailable",
    "BudgetExceeded",
    "CheckReport",
    "ConventionError",
    "Diagnosis",
    "EngineRecord",
    "ExportError",
    "ImageOptions",
    "InputError",
    "MissingDependencyError",
    "ModelError",
    "ModelInspection",
    "NormdeployError",
    "OptimizationReport",
    "Optimized",
    "PluginUnavailable",
    "Profile",
    "Reduction",
    "UnsupportedOperator",
    "UsageError",
    "__version__",
    "batch_norm",
    "batch_norm_train",
    "build",
    "check",
    "doctor",
    "evaluate",
    "export",
    "inspect",
    "lrn",
    "optimize",
    "profile",
    "reduce",
]

_HOMES = {
    "batchnorm": ("batch_norm", "batch_norm_train"),
    "diagnosis": ("Diagnosis", "doctor"),
    "engine": ("EngineRecord", "build"),
    "inputs.images": ("ImageOptions",),
    "inspection": ("ModelInspection", "inspect"),
    "lrn": ("LRN", "lrn"),
    "passes": ("OptimizationReport", "Optimized", "optimize"),
    "profiling": ("Profile", "profile"),
    "reference": ("evaluate",),
    "torch": ("export",),
    "validation": ("CheckReport", "check"),
    "validation.reduction": ("Reduction", "reduce"),
}
"""Part of the package -> what it offers here. It is imported when one of them is first used, so that
importing normdeploy stays light."""

_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is used for the first time."""
    if name not in _HOME:
        raise AttributeError(f"module 'normdeploy' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"normdeploy.{_HOME[name]}"), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps `normdeploy.lrn` the function: importing the module of that name would put it in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
