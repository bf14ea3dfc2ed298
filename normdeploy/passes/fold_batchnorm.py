"""Fold BatchNormalization into the layer before it.

At inference the layer is an affine map per channel, y = a·x + b with a = γ/√(σ² + ε), b = β − a·μ. Where
x comes from a linear layer and nothing else reads it, the layer's weights take the map up (`absorb`).
Everything is computed in float64 and cast once, to the weight's type.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.batchnorm import affine
from normdeploy.graph.edit import Editor
from normdeploy.passes.absorb import Absorber, Affine
from normdeploy.passes.constants import Constants
from normdeploy.passes.report import BatchNormRecord, Refused, Report

_PARAMETERS = ("scale", "bias", "mean", "variance")


class FoldBatchNorm(ir.passes.InPlacePass):
    """Fold what can be folded exactly, and record every BatchNormalization with the reason."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        constants, editor = Constants(model), Editor(model.graph)
        opset = model.opset_imports.get("", 1)
        modified = False
        for node in [
            item for item in model.graph if item.op_type == "BatchNormalization" and not item.domain
        ]:
            name = node.name or str(node.outputs[0].name)
            try:
                absorber = Absorber(constants, editor)
                source = node.inputs[0]
                assert source is not None
                absorber.into(source, parameters(node, constants, opset))
                target = absorber.apply()
                editor.bypass(node, source)
                record = BatchNormRecord(name, "folded", into=target)
                modified = True
            except Refused as reason:
                record = BatchNormRecord(name, "kept", reason=str(reason))
            self._report.batchnorm.append(record)
        return ir.passes.PassResult(model, modified)


def parameters(node: ir.Node, constants: Constants, opset: int) -> Affine:
    """The affine map that a BatchNormalization node computes at inference.

    Raises:
        Refused: it trains, or its parameters are not constant or not sound.
    """
    if opset < 7 and not node.attributes.get_int("is_test", 0):
        raise Refused("is_test = 0: it normalizes by the batch's own statistics")
    if node.attributes.get_int("training_mode", 0):
        raise Refused("training_mode = 1: it normalizes by the batch's own statistics")
    if not node.attributes.get_int("spatial", 1):
        raise Refused("spatial = 0: its statistics are per activation")
    for index, output in enumerate(node.outputs[1:], start=1):
        if output.uses() or output.is_graph_output():
            raise Refused(f"its output {index} ('{output.name}') is used")
    arrays = []
    for value, what in zip(node.inputs[1:5], _PARAMETERS, strict=True):
        assert value is not None
        array = constants.array(value)
        if array is None:
            how = "may be overridden by the caller" if constants.is_overridable(value) else "is computed"
            raise Refused(f"its {what} '{value.name}' {how}")
        arrays.append(array.astype(np.float64))
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    _check_variance(arrays[3] + epsilon)
    scale, shift = affine(arrays[0], arrays[1], arrays[2], arrays[3], epsilon)
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        raise Refused("its parameters are not finite")
    return Affine(scale, shift)


def _check_variance(total: NDArray[np.float64]) -> None:
    bad = np.flatnonzero(~(np.isfinite(total) & (total > 0)))
    if bad.size:
        raise Refused(f"variance + epsilon is {total[bad[0]]:g} in channel {bad[0]}, not above 0 and finite")
