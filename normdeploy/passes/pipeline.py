"""The transforms in order."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass, ShapeInferencePass

from normdeploy.passes.fold_batchnorm import FoldBatchNorm
from normdeploy.passes.fold_constants import FoldConstants
from normdeploy.passes.recover_lrn import RecoverLRN
from normdeploy.passes.report import Report


def rewrite(model: ir.Model, *, fold: bool = True) -> Report:
    """Recover LRN and fold BatchNorm in a graph, in place.

    Args:
        model: an inference graph.
        fold: whether to fold BatchNorm.
    """
    report = Report(nodes_before=len(model.graph))
    passes: list[ir.passes.InPlacePass] = [ShapeInferencePass(), RecoverLRN(report)]
    if fold:
        passes.append(FoldBatchNorm(report))
    passes += [FoldConstants(), RemoveUnusedNodesPass()]
    ir.passes.Sequential(*passes)(model)
    report.nodes_after = len(model.graph)
    return report
