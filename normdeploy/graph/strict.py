"""Whose fault an unforeseen error is: the model's, where ONNX's strict shape inference refuses it, else ours.

onnx.checker looks at each node by itself. A node whose inputs do not fit each other, or whose pads are too
few, passes; so do models whose declared shapes are wrong in a harmless way, and runtimes take them. What only
strict inference refuses is no reason to refuse a model, until something stumbles over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import onnx
import onnx_ir as ir

from normdeploy.budget import memory_kept
from normdeploy.errors import ModelError, NormdeployError
from normdeploy.graph.io import ModelSource, load, model_name, to_proto

_P = ParamSpec("_P")
_R = TypeVar("_R")

_MOST_BYTES = 2**31
"""Of memory that the inference may take."""


@contextmanager
def refused_if_invalid(*models: ModelSource) -> Iterator[None]:
    """Turn an error that the body stumbles over into one line about a model, if it is the model's fault.

    Errors of normdeploy that onnx_ir's passes have wrapped come out as they were.

    Args:
        models: that the body works on, as the caller gave them.

    Raises:
        ModelError: the body failed, and ONNX's strict shape inference refuses one of the models.
    """
    try:
        yield
    except (NormdeployError, MemoryError):
        raise
    except Exception as error:
        cause = _cause(error)
        if isinstance(cause, NormdeployError | MemoryError):
            raise cause from None
        for model in models:
            problem = _problem(load(model))
            if problem is not None:
                raise ModelError(f"{model_name(model)}: not a valid ONNX model: {problem}") from error
        raise


def blames_invalid(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a function under `refused_if_invalid`, with its first argument and its keyword `reference`."""

    @wraps(function)
    def run(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        given = (*arguments[:1], keywords.get("model"), keywords.get("reference"))
        with refused_if_invalid(*(cast("ModelSource", each) for each in given if each is not None)):
            return function(*arguments, **keywords)

    return run


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _problem(model: ir.Model) -> str | None:
    """What ONNX's strict shape inference finds wrong with a model."""
    try:
        with memory_kept(_MOST_BYTES):
            onnx.shape_inference.infer_shapes(to_proto(model), check_type=True, strict_mode=True)
    except Exception as error:  # it raises many types
        return " ".join(str(error).split()) or type(error).__name__
    return None
