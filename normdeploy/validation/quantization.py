"""Quantized models: whether a model is one, and how a runtime's fused integer kernels differ from its graph.

Where a graph holds QuantizeLinear and DequantizeLinear around an operator, runtimes put one kernel of 8-bit
integers in place of all three. It rounds elsewhere than the graph says, and a value near the middle between
two integers comes out one quantization step higher or lower: many thousand times what rounding of floats
explains, and no defect of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from normdeploy.graph.scopes import located_nodes
from normdeploy.validation.report import BackendReport, OutputReport

_OPERATORS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_PREFIXES = ("QLinear", "QGemm", "QAttention")


def is_quantized(model: ir.Model) -> bool:
    """Whether a model holds operators that quantize, or that compute with quantized numbers.

    Args:
        model: a loaded model.
    """
    return any(
        node.op_type in _OPERATORS or node.op_type.startswith(_PREFIXES) for node, _ in located_nodes(model)
    )


def output_steps(model: ir.Model) -> dict[str, float]:
    """The quantization step of each output that comes out of a DequantizeLinear with one known scale.

    Args:
        model: a loaded model.
    """
    steps = {}
    for value in model.graph.outputs:
        node = value.producer()
        if node is None or node.op_type != "DequantizeLinear" or len(node.inputs) < 2:
            continue
        scale = node.inputs[1]
        if scale is not None and scale.const_value is not None and scale.const_value.size == 1:
            steps[str(value.name)] = float(np.asarray(scale.const_value.numpy(), np.float64).reshape(()))
    return steps


def with_unoptimized(
    fused: BackendReport, plain: BackendReport | None, steps: Mapping[str, float], against: str | None
) -> BackendReport:
    """The report of a backend, with what the same backend makes of the quantized graph as it stands.

    Where numbers are wrong, the reason says whether fused kernels explain them. The status stays.

    Args:
        fused: the backend as it is.
        plain: without optimizations; None if it cannot be told to.
        steps: of the outputs, as far as they are known.
        against: the reference, in words; None if it is the model itself.
    """
    if plain is not None:
        fused = replace(fused, unoptimized=plain.status)
    if not any(output.comparison.wrong for output in fused.outputs):
        return fused
    said = _explained(fused, plain, steps, against)
    return replace(fused, reason=f"{fused.reason}; {said}") if said else fused


def _explained(
    fused: BackendReport, plain: BackendReport | None, steps: Mapping[str, float], against: str | None
) -> str:
    if plain is not None and plain.status == "pass":
        wrong = [output for output in fused.outputs if output.comparison.wrong]
        count = sum(output.comparison.wrong for output in wrong)
        return (
            "the quantized model agrees with the unoptimized runtime; its fused int8 kernels differ "
            f"{_by(wrong, steps)}in {count:,} element{'s' * (count != 1)}"
        )
    if against is not None:
        moved = f"quantization moves numbers away from those of {against}"
        return moved if fused.gate else f"{moved}: --max-flips and --max-accuracy-drop limit what it may cost"
    if plain is None:
        return ""
    if plain.status == "mismatch":
        return "the unoptimized runtime differs from the quantized graph too"
    return f"the unoptimized runtime gives no result ({plain.reason})"


def _by(wrong: Sequence[OutputReport], steps: Mapping[str, float]) -> str:
    """By how many quantization steps, where that is known."""
    if any(output.name not in steps or not steps[output.name] > 0 for output in wrong):
        return ""
    count = max(round(output.comparison.max_abs_error / steps[output.name]) for output in wrong)
    return "by one step " if count <= 1 else f"by up to {count} steps "
