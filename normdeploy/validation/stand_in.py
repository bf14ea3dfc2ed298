"""The original in the place of a deployed graph that the reference cannot compute.

A runtime's own operators (a fused kernel, another layout, a plugin's operator) have no implementation in the
reference. What rounding does to such a graph cannot be measured, but what it does to the original can, whose
operators do the same work one after the other.
"""

from __future__ import annotations

import onnx_ir as ir

from normdeploy.errors import UnsupportedOperator
from normdeploy.graph.inference import computed_types, infer
from normdeploy.graph.scopes import located_nodes
from normdeploy.reference import Evaluator
from normdeploy.reference.execution_plan import Planner
from normdeploy.reference.generators import DRAWS
from normdeploy.validation.stored_weights import with_rounded_weights

_HALF = (ir.DataType.BFLOAT16, ir.DataType.FLOAT16)


def computable(deployed: Evaluator, original: Evaluator) -> tuple[Evaluator, list[str]]:
    """Computes what the deployed graph means, as well as the reference can.

    Args:
        deployed: of the model that backends run.
        original: of the model that is right; the same evaluator where there is no reference.

    Returns:
        The deployed graph's evaluator; or one of its original, with a line that says why.

    Raises:
        UnsupportedOperator: there is no original.
        ModelError: the deployed model is not valid.
    """
    why = _unsupported(deployed.model)
    if not why:
        return deployed, []
    if original is deployed:
        advice = "" if DRAWS in why else ": give the original with --reference, and its rounding is allowed"
        raise UnsupportedOperator(f"{why}{advice}")
    remark = f"{why}: the original's rounding is allowed, and the graphs are not compared"
    return _rounding_alike(original, deployed.model), [remark]


def _unsupported(model: ir.Model) -> str:
    """The first node of which the reference has no operator, and what it says of it; "" if there is none."""
    try:
        Planner(model).main(list(model.graph.outputs))
    except UnsupportedOperator as error:
        return str(error)
    return ""


def _rounding_alike(original: Evaluator, deployed: ir.Model) -> Evaluator:
    """The original, which computes in half precision where the deployed model does."""
    infer(original.model)  # rounding goes by the tensors' types
    half = next((dtype for dtype in _HALF if dtype in computed_types(deployed)), None)
    if half is None:
        return original
    rounded = with_rounded_weights(original.model, deployed)
    if rounded is original.model:
        rounded = rounded.clone()
    for node, _ in located_nodes(rounded):
        for value in node.outputs:
            if value.dtype == ir.DataType.FLOAT:
                value.dtype = half
    return Evaluator(rounded, keep_weights=True)
