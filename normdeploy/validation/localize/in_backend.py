"""The first node that a backend computes wrongly, found without marking tensors of the model as outputs.

Nodes alone come first. If every node is right alone then something is wrong in how nodes are fused or placed
in memory, and prefixes of the model show where. Tensors are judged by measured rounding; a node alone has to
miss that by `CLEARLY_WRONG`. A part that cannot be cut out, written, run or judged costs a remark.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.validation.localize.attempts import remarked
from normdeploy.validation.localize.execution import Progress, RunModel
from normdeploy.validation.localize.judging import Judgement
from normdeploy.validation.localize.nodes_alone import NodesAlone
from normdeploy.validation.localize.prefixes import Prefixes
from normdeploy.validation.localize.result import Localization


def localize_in_backend(
    model: ir.Model,
    inputs: Mapping[str, Array],
    run: RunModel,
    judgement: Judgement,
    progress: Progress | None = None,
) -> Localization:
    """Search nodes alone, then prefixes.

    Args:
        model: the model that the backend gets wrong on these inputs; its types have been inferred.
        inputs: the model's.
        run: runs a submodel in the backend.
        judgement: judges a submodel's outputs.
        progress: is told how many of the nodes have been looked at.
    """
    constant = ConstantAnalysis(model).names()
    tell = progress or (lambda done, total: None)
    remarks: list[str] = []
    alone = NodesAlone(model, inputs, run, judgement, constant, tell)
    with remarked("not every node was run alone", remarks):
        alone.search()
    remarks += alone.remarks
    first = alone.first
    if first is None:
        prefixes = Prefixes(model, inputs, run, judgement, constant, alone.sizes, alone.shapes)
        with remarked("nodes were not searched together", remarks):
            first = prefixes.search(tell)
        remarks += prefixes.remarks
    return Localization(first, alone.errors, remarks)
