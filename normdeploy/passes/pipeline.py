"""The transforms in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass, ShapeInferencePass

from normdeploy.graph.io import ModelSource, load
from normdeploy.passes.fold_batchnorm import FoldBatchNorm
from normdeploy.passes.fold_constants import FoldConstants
from normdeploy.passes.recover_lrn import RecoverLRN
from normdeploy.passes.report import Report
from normdeploy.passes.resolve_cast_like import ResolveCastLike

Target = Literal["portable", "ort-cpu", "tensorrt"]


@dataclass(frozen=True)
class Optimized:
    """A rewritten model, and what was done to it."""

    model: onnx.ModelProto
    report: Report


def optimize(model: ModelSource, *, target: Target = "portable") -> Optimized:
    """Fold BatchNorm and recover LRN in a model; the model given is not changed.

    Args:
        model: a path, or a loaded model.
        target: what the result is for.

    Raises:
        ModelError: not a model that `load` accepts.
    """
    graph = load(model)
    if isinstance(model, ir.Model):
        graph = model.clone()
    report = rewrite(graph)
    return Optimized(ir.to_proto(graph), report)


def rewrite(model: ir.Model, *, fold: bool = True) -> Report:
    """Recover LRN and fold BatchNorm in a graph, in place.

    Args:
        model: an inference graph.
        fold: whether to fold BatchNorm.
    """
    report = Report(nodes_before=len(model.graph))
    passes: list[ir.passes.InPlacePass] = [ShapeInferencePass(), ResolveCastLike(), RecoverLRN(report)]
    if fold:
        passes.append(FoldBatchNorm(report))
    passes += [FoldConstants(), RemoveUnusedNodesPass()]
    ir.passes.Sequential(*passes)(model)
    report.nodes_after = len(model.graph)
    return report
