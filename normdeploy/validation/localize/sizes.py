"""How much memory the tensors of a model take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator


def tensor_sizes(evaluator: Evaluator, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The bytes, in the reference, of every tensor that the main graph's nodes compute on these inputs.

    Args:
        evaluator: of the model.
        inputs: the model's.
    """
    sizes: dict[str, int] = {}

    def note(node: ir.Node, results: Sequence[Array]) -> None:
        for value, array in zip(node.outputs, results, strict=False):
            sizes[str(value.name)] = getattr(array, "nbytes", 0)

    evaluator.run(inputs, on_node=note)
    return sizes
