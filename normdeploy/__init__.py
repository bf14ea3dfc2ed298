"""Take networks with LRN and BatchNorm to ONNX and TensorRT, and prove that they still compute the same."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from normdeploy.batchnorm import batch_norm, batch_norm_train
from normdeploy.errors import NormdeployError
from normdeploy.lrn import LRN, lrn

if TYPE_CHECKING:
    from normdeploy.passes import optimize
    from normdeploy.profiling import profile
    from normdeploy.reference import evaluate
    from normdeploy.torch import export
    from normdeploy.validation import check

__version__ = "0.1.0"

__all__ = [
    "LRN",
    "NormdeployError",
    "batch_norm",
    "batch_norm_train",
    "check",
    "evaluate",
    "export",
    "lrn",
    "optimize",
    "profile",
]

_LAZY = {
    "check": "validation",
    "evaluate": "reference",
    "export": "torch",
    "optimize": "passes",
    "profile": "profiling",
}


def __getattr__(name: str) -> Any:
    """Import what works on graphs when it is first used, so that importing normdeploy stays light."""
    if name not in _LAZY:
        raise AttributeError(f"module 'normdeploy' has no attribute '{name}'")
    return getattr(importlib.import_module(f"normdeploy.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
