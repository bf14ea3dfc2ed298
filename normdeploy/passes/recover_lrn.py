"""Recover LRN from the graph that an exporter decomposed it into.

torch exports y = x / (k + α/n · Σ x²)^β, across channels or within one, as about ten nodes::

    x ─┬─ Mul(x, x) ─ Reshape ─ Pad ─ AveragePool ─ Reshape ─ Mul α ─ Add k ─ Pow β ─┐
       └──────────────────────────────────────────────────────────────────────────── Div ─ y

The match starts at the Div and goes up: the power, the affine part, the window (see `windows`), the square,
and must end at the tensor that is divided. A normalization across channels becomes `LRN` if the standard's
window, onnxruntime's and TensorRT's limits take it; within a channel it becomes
`normdeploy.IntraChannelLRN`, which carries a body of standard operators. Everything else stays as it is,
with the reason in the report.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from normdeploy.graph import custom
from normdeploy.graph.edit import Editor
from normdeploy.limits import refusals
from normdeploy.lrn import LRN
from normdeploy.passes.constants import Constants
from normdeploy.passes.report import LRNRecord, Refused, Report
from normdeploy.passes.windows import Chain, trace_mean_square, windows


class RecoverLRN(ir.passes.InPlacePass):
    """Put one node in the place of each decomposed LRN, if and only if it computes the same."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        constants, editor = Constants(model), Editor(model.graph)
        modified = False
        for node in [item for item in model.graph if item.op_type == "Div" and not item.domain]:
            match = _match(node, constants)
            if match is None:
                continue
            try:
                replacement = _replacement(match, node, model, constants)
            except Refused as reason:
                self._report.lrn.append(LRNRecord(match.nodes, "kept", str(reason)))
                continue
            editor.replace(node, replacement)
            if replacement.domain == custom.DOMAIN:
                custom.add_function(model)
            self._report.lrn.append(LRNRecord(match.nodes, "recovered"))
            modified = True
        return ir.passes.PassResult(model, modified)


@dataclass(frozen=True)
class _Match:
    """y = x / (shift + scale · mean)^beta, where `mean` comes from the square of x."""

    x: ir.Value
    mean: Chain
    scale: float
    shift: float
    beta: float
    nodes: tuple[str, ...]


def _match(div: ir.Node, constants: Constants) -> _Match | None:
    x, denominator = div.inputs
    if x is None or denominator is None:
        return None
    path = [div]
    base, beta = _peel_power(denominator, constants, path)
    core, scale, shift = _peel_affine(base, constants, path)
    chain = trace_mean_square(core)
    if chain is None or chain.source is not x:
        return None
    nodes = tuple(node.name or str(node.outputs[0].name) for node in (*chain.nodes, *reversed(path)))
    return _Match(x, chain, scale, shift, beta, nodes)


def _peel_power(value: ir.Value, constants: Constants, path: list[ir.Node]) -> tuple[ir.Value, float]:
    """(base, exponent) with value = base^exponent."""
    node = value.producer()
    if node is None or node.inputs[0] is None:
        return value, 1.0
    if node.op_type == "Sqrt":
        path.append(node)
        return node.inputs[0], 0.5
    exponent = constants.scalar(node.inputs[1]) if node.op_type == "Pow" else None
    if exponent is None:
        return value, 1.0
    path.append(node)
    return node.inputs[0], exponent


def _peel_affine(value: ir.Value, constants: Constants, path: list[ir.Node]) -> tuple[ir.Value, float, float]:
    """(core, scale, shift) with value = scale · core + shift, through scalar constants."""
    scale, shift = 1.0, 0.0
    while (node := value.producer()) is not None and node.op_type in ("Add", "Sub", "Mul", "Div"):
        left, right = node.inputs
        constant, other = constants.scalar(right), left
        if constant is None and node.op_type in ("Add", "Mul"):
            constant, other = constants.scalar(left), right
        if constant is None or other is None:
            break
        if node.op_type == "Add":
            shift += scale * constant
        elif node.op_type == "Sub":
            shift -= scale * constant
        elif node.op_type == "Mul":
            scale *= constant
        else:
            scale /= constant
        path.append(node)
        value = other
    return value, scale, shift


def _replacement(match: _Match, div: ir.Node, model: ir.Model, constants: Constants) -> ir.Node:
    """The node that computes the match.

    Raises:
        Refused: no operator computes exactly this.
    """
    extents = windows(match.mean, constants)
    rank = len(match.x.shape or ())
    wide = {axis: extent for axis, extent in extents.items() if extent != (0, 0)}
    if set(wide) <= {1}:
        return _across(match, div, wide.get(1, (0, 0)), rank)
    if set(wide) == set(range(2, rank)) and len(set(wide.values())) == 1:
        return _within(match, div, wide[2], rank, model)
    raise Refused(f"its window spans the axes {sorted(wide)}: neither the channels nor all spatial axes")


def _across(match: _Match, div: ir.Node, window: tuple[int, int], rank: int) -> ir.Node:
    spec = _spec(match, window, LRN(1, match.scale, match.beta, match.shift, "across", "onnx"))
    reasons = refusals(spec, rank)
    if reasons:
        raise Refused(
            "; ".join(f"{runtime} has no LRN for it: {reason}" for runtime, reason in reasons.items())
        )
    attributes = {"size": spec.size, "alpha": spec.alpha, "beta": spec.beta, "bias": spec.k}
    return ir.node("LRN", [match.x], attributes, name=div.name)


def _within(match: _Match, div: ir.Node, window: tuple[int, int], rank: int, model: ir.Model) -> ir.Node:
    if match.x.dtype == ir.DataType.DOUBLE:
        raise Refused("the operator within a channel computes in float32, its input is float64")
    if model.opset_imports.get("", 1) < custom.MINIMUM_OPSET:
        raise Refused(f"the operator within a channel needs opset {custom.MINIMUM_OPSET} or newer")
    spec = _spec(match, window, LRN(1, match.scale, match.beta, match.shift, "within", "torch"))
    return custom.intra_channel_lrn(match.x, spec, rank - 2, name=div.name)


def _spec(match: _Match, window: tuple[int, int], like: LRN) -> LRN:
    """The normalization with that window, in the convention of the operator that is to compute it."""
    size = sum(window) + 1
    spec = LRN(size, match.scale, match.beta, match.shift, like.region, like.convention)
    if spec.window != window:
        raise Refused(f"its window [-{window[0]}, {window[1]}] is not that of the operator: {spec.window}")
    return spec
