"""Constants that the original computes and the deployed file holds, rounded.

A tool that folds constants stores what nodes made of them: an exponent, the scales of a Resize, a limit, a
grid. Such a parameter gets no random error (see `weight_positions`), and needs none: the original is computed
with the very number that the deployed file holds, as long as that is a rounding of what it means.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import NormdeployError
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.graph.edit import Editor
from normdeploy.reference import Evaluator
from normdeploy.reference.rounded_numbers import UNIT_ROUNDOFF
from normdeploy.validation.stored_weights import unknown_parameters, with_rounded_weights

_ROUNDOFFS = 8
"""What a number that a few operations make of others may be off by, in units of its type's roundoff."""

Parameters = dict[int, list[tuple[Array, float]]]
"""Number of elements -> parameters of that size in float64, with the relative error that each may have."""


def as_stored(original: ir.Model, deployed: ir.Model) -> ir.Model:
    """The original with the numbers that the deployed file holds where these are roundings of its own.

    Args:
        original: the model that is right; it is not changed.
        deployed: the model that backends run.

    Returns:
        A copy; the original itself, where nothing is rounded.
    """
    rounded = with_rounded_weights(original, deployed)
    wanted: Parameters = {}
    for array, dtype in unknown_parameters(deployed, rounded):
        limit = _ROUNDOFFS * UNIT_ROUNDOFF[dtype]
        wanted.setdefault(array.size, []).append((array.astype(np.float64), limit))
    if not wanted:
        return rounded
    changed = original.clone() if rounded is original else rounded
    return changed if _replace_constants(changed, wanted) else rounded


def _replace_constants(model: ir.Model, wanted: Parameters) -> bool:
    """Put parameters in the place of the constants that they are; False if none is one."""
    found = dict(_constants(model, wanted))
    editor = Editor(model.graph)
    for value, held in found.items():
        constant = editor.constant(f"{value.name}/stored", held)
        ir.convenience.replace_all_uses_with(value, constant)
    return bool(found)


def _constants(model: ir.Model, wanted: Parameters) -> Iterator[tuple[ir.Value, Array]]:
    """The constants that nodes of the main graph compute, each with the parameter that it is."""
    analysis = ConstantAnalysis(model)
    alone = model.clone()
    alone.graph.inputs[:] = [value for value in alone.graph.inputs if value.is_initializer()]
    evaluator = Evaluator(alone)
    for node in model.graph:
        for value in node.outputs:
            if not value.name or not analysis.is_constant(value) or not _is_read(value, analysis):
                continue
            restart_clock()
            try:
                exact = evaluator.run({}, outputs=[value.name])[value.name]
            except NormdeployError:  # the reference says so when it computes the model
                continue
            held = _rounded_as(exact, wanted)
            if held is not None:
                yield value, held


def _is_read(value: ir.Value, analysis: ConstantAnalysis) -> bool:
    """Whether something that is no constant reads it."""
    return any(not all(map(analysis.is_constant, use.node.outputs)) for use in value.uses())


def _rounded_as(exact: Array, wanted: Parameters) -> Array | None:
    """The parameter that is a rounding of a constant; None if none is, or if it is exact."""
    if exact.dtype != np.float64:
        return None
    for held, limit in wanted.get(exact.size, ()):
        numbers = held.reshape(exact.shape)
        with np.errstate(all="ignore"):
            near = np.abs(numbers - exact) <= limit * np.abs(exact)
        if np.all(near | (numbers == exact)) and np.any(numbers != exact):
            return numbers
    return None
