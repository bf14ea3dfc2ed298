"""Types and shapes that a model does not state but that follow from its operators."""

from __future__ import annotations

import contextlib
import logging

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from normdeploy.graph.io import ModelSource, load

# The pass logs a traceback for a model that it cannot follow; without a handler it would reach the terminal.
logging.getLogger("onnx_ir").addHandler(logging.NullHandler())


def infer(model: ir.Model) -> None:
    """Add the types and shapes that ONNX can infer, in place; a model it cannot follow stays as it is."""
    order = list(model.graph.initializers)
    with contextlib.suppress(Exception):  # ONNX's inference and its wrapper raise many types
        ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)
    for name in order:  # the pass moves large ones to the end
        model.graph.initializers[name] = model.graph.initializers.pop(name)


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
