"""Types and shapes that a model does not state but that follow from its operators."""

from __future__ import annotations

import contextlib
import logging

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from normdeploy.budget import check_budget, memory_kept
from normdeploy.graph.io import ModelSource, load

# The pass logs a traceback for a model that it cannot follow; without a handler it would reach the terminal.
logging.getLogger("onnx_ir").addHandler(logging.NullHandler())

_MOST_BYTES = 2**31
"""Of memory that inference may take."""


def infer(model: ir.Model) -> None:
    """Add the types and shapes that ONNX can infer, in place; a model it cannot follow stays as it is.

    One that takes more memory to follow than 2 GiB, or than the budget has left, stays as it is, too: its
    weights are not looked at, and a few nodes can double the axes of a tensor, or the sizes that are
    followed, again and again.

    Raises:
        BudgetExceeded: no time or memory is left for it, or for what comes after it.
    """
    check_budget()
    inputs, weights = list(model.graph.inputs), dict(model.graph.initializers)
    tensors = {name: value.const_value for name, value in weights.items()}
    # ONNX's inference and its wrapper raise many types of exceptions
    with contextlib.suppress(Exception), memory_kept(_MOST_BYTES):
        ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)
    # The pass moves large initializers to the end, and where it fails early it leaves them among the inputs.
    model.graph.inputs[:] = inputs
    model.graph.initializers.clear()
    for name, value in weights.items():
        value.const_value = tensors[name]
        model.graph.initializers[name] = value
    check_budget()


def inferred(source: ModelSource) -> ir.Model:
    """A model with the types and shapes that ONNX can infer; one that is loaded already is not changed.

    Raises:
        ModelError: not a model that `load` accepts.
    """
    model = load(source)
    if model is source:
        model = model.clone()
    infer(model)
    return model


def computed_types(model: ir.Model) -> set[ir.DataType]:
    """The types of the tensors that the main graph's nodes compute, as far as they are known."""
    values = [value for node in model.graph for value in node.outputs]
    return {value.dtype for value in (*values, *model.graph.outputs) if value.dtype is not None}
